"""The two stages of LAFT as fairseq tasks."""
