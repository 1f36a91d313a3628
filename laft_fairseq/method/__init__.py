"""LAFT itself, in the order of section 3 of the paper; laft.py is the whole of it."""
