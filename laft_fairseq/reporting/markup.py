"""Text and tables as Markdown that holds whatever a result file says, and nothing it could do."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_|[]~#"})


@dataclass(frozen=True)
class Table:
    """Rows of entries, the first of each the row's header; a `str` is a block's title.

    `prose`: entries are texts, not numbers.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str] | str]
    prose: bool = False


def one_line(text: object) -> Markup:
    """Return text on one line, as HTML shows it as it is."""
    return Markup(html.escape(" ".join(str(text).split()), quote=False))


def plain(text: object) -> Markup:
    """Return text on one line, as Markdown shows it as it is; markup stays markup."""
    return text if isinstance(text, Markup) else one_line(str(text).translate(_MARKS))


def entry(text: str, *notes: str, strong: bool = False) -> Markup:
    """Return a table's entry, with smaller lines beneath it."""
    small = [f"<br><small>{plain(note)}</small>" for note in notes if note]
    return Markup("".join([f"**{plain(text)}**" if strong and text else plain(text), *small]))


def in_language(text: str, tag: str) -> Markup:
    """Return text with the attribute `lang` of a tag (BCP 47): `zh_CN` -> `zh-CN`."""
    code = "".join(c for c in tag.removesuffix("_XX").replace("_", "-") if c.isalnum() or c == "-")
    return Markup(f'<span lang="{code}">{plain(text)}</span>')


def fence(text: str) -> Markup:
    """Return text as a block of code; the fence is longer than any backquotes in it."""
    mark = "```"
    while mark in text:
        mark += "`"
    return Markup(f"{mark}\n{text}\n{mark}")
