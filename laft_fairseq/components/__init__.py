"""The language components of a corpus: estimation, file format, ablations."""
