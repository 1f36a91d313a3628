"""Checkpoints and backbones on disk: reading, headers, checks, completion."""
