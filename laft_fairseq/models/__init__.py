"""mBART with LAFT's parts, as fairseq models."""
