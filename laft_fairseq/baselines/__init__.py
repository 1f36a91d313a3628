"""The trainable parts of the systems that the paper compares LAFT with."""
