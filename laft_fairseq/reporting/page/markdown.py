"""A page as Markdown, readable as plain text and on any forge."""

import os
from collections.abc import Sequence
from pathlib import Path

from laft_fairseq.tables.document import (
    Bullets,
    Callout,
    Chart,
    Code,
    Details,
    Entry,
    Image,
    Node,
    Page,
    Row,
    Table,
    Text,
)


def render(page: Page, beside: Path) -> str:
    """The page as Markdown; images are linked relative to the folder `beside`."""
    parts = [f"# {_plain(page.title)}", *map(_plain, page.introduction)]
    for section in page.sections:
        children = [text for child in section.children for text in _node(child, beside)]
        if children:
            parts += [f"## {_plain(section.title)}", *children]
    return "\n\n".join(parts) + "\n"


def _node(node: Node, beside: Path) -> list[str]:
    match node:
        case Text():
            return [_plain(node.text)]
        case Bullets():
            return ["\n".join(f"- {_plain(item)}" for item in node.items)] if node.items else []
        case Code():
            return [_fenced(node.text)]
        case Table():
            return [f"**{_plain(node.caption)}**", _table(node)]
        case Chart():  # the page in HTML draws it; its numbers stand in a table
            return []
        case Image():
            shown = Path(os.path.relpath(node.path.resolve(), beside.resolve())).as_posix()
            return [f"![{_plain(node.alternative)}]({shown.replace(' ', '%20')})"]
        case Row():
            return [text for child in node.children for text in _node(child, beside)]
        case Callout():
            inside = [text for child in node.children for text in _node(child, beside)]
            return [f"**{_plain(node.title)}**", *inside]
        case Details():
            inside = [text for child in node.children for text in _node(child, beside)]
            if not inside:
                return []
            summary = f"<details>\n<summary>{_plain(node.summary)}</summary>"
            return [summary, *inside, "</details>"]


def _table(table: Table) -> str:
    lines = [_line([_plain(head) for head in table.header])]
    numbers = "---" if table.prose else "--:"
    lines.append(_line(["---", *[numbers] * (len(table.header) - 1)]))
    for row in table.rows:
        if isinstance(row, str):
            lines.append(_line([f"*{_plain(row)}*", *[""] * (len(table.header) - 1)]))
        else:
            lines.append(_line([_entry(entry) for entry in row]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _entry(entry: Entry) -> str:
    text = _plain(entry.text)
    if entry.strong and text:
        text = f"**{text}**"
    if not entry.note:
        return text
    note = _plain(entry.note)
    return f"{text} {note}" if entry.note.startswith("[") else f"{text} ({note})"


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    text = " ".join(text.split())
    for mark in "\\`*_|[]":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _fenced(text: str) -> str:
    """A code block whose fence is longer than any run of backquotes in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"
