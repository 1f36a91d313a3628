"""The one exception that a user of laft_fairseq is meant to read."""


class LaftError(Exception):
    """Wrong input, in one clear line: what is wrong, in which file, for which language."""


def flag(option: str) -> str:
    """An option as the user writes it: ``max_len_b`` -> ``--max-len-b``."""
    return "--" + option.replace("_", "-")


def in_one_line(error: BaseException) -> str:
    """The message of an error that another library raised, short and without line ends."""
    return " ".join(str(error).split())[:200]


def laft_error_in(error: BaseException) -> LaftError | None:
    """The LaftError in an error or its causes, if there is one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, LaftError):
        cause = cause.__cause__ or cause.__context__
    return cause
