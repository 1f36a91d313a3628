"""The one exception that a user of laft_fairseq is meant to read."""


class LaftError(Exception):
    """Wrong input, said in one clear line: what is wrong, in which file, for which language."""
