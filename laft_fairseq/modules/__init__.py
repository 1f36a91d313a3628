"""The trainable parts that LAFT adds to mBART (§3.2)."""
