"""The one exception that a user of laft_fairseq is meant to read."""


class LaftError(Exception):
    """Wrong input, said in one clear line: what is wrong, in which file, for which language."""


def in_one_line(error: BaseException) -> str:
    """The message of an error that another library raised, short and without line ends."""
    return " ".join(str(error).split())[:200]
