"""A page as plain data: what stands on it, apart from how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """A table's cell: text, a second smaller line, its language, whether it stands out."""

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
    rows: Sequence[Sequence[Entry] | str]
    prose: bool = False


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """A command, as it was typed."""

    text: str


@dataclass(frozen=True)
class Chart:
    """An SVG drawing, and the sentence that says what it shows."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Image:
    """A PNG file."""

    path: Path
    alternative: str


@dataclass(frozen=True)
class Row:
    """Parts side by side where there is room."""

    children: Sequence[Node]


@dataclass(frozen=True)
class Details:
    """Parts that open on demand."""

    summary: str
    children: Sequence[Node]
    opened: bool = False


@dataclass(frozen=True)
class Callout:
    """The verdict: `kind` is good, bad or open."""

    kind: str
    title: str
    children: Sequence[Node]


Node = Table | Text | Bullets | Code | Chart | Image | Row | Details | Callout


@dataclass(frozen=True)
class Section:
    """A heading and its parts; `anchor` is its name in links."""

    anchor: str
    title: str
    children: Sequence[Node]


@dataclass(frozen=True)
class Page:
    """All of it."""

    title: str
    introduction: Sequence[str]
    sections: Sequence[Section] = field(default_factory=list)
