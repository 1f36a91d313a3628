"""The modules of the systems that the paper compares LAFT with."""
