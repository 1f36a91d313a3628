"""Losses that fairseq does not have."""
