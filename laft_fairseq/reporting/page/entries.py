"""Tables as plain data, for the templates to write."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A table's cell with a second smaller line, its language, and whether it stands out."""

    text: str
    note: str = ""
    lang: str = ""  # a tag such as zh_CN; "" is the page's English
    strong: bool = False
    muted: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of entries, the first of each the row's header; a `str` is a block's title.

    `prose`: entries are texts, not numbers.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Entry | str] | str]
    prose: bool = False
