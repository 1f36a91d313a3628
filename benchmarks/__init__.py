"""Timed comparisons: `python benchmarks/run.py --help`. Nothing here is a test."""
