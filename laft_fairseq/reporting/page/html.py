"""A page as one HTML file that needs nothing else: no script, no font, no network."""

import base64
from collections.abc import Sequence
from html import escape

from laft_fairseq.errors import LaftError
from laft_fairseq.tables import names
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
    Section,
    Table,
    Text,
)
from laft_fairseq.tables.style import STYLE

# The page says itself that nothing may be loaded or run.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_PNG = b"\x89PNG\r\n\x1a\n"


def render(page: Page) -> str:
    """The page as HTML.

    Raises:
        LaftError: the figure cannot be read, or is no PNG.
    """
    links = "".join(f'<li><a href="#{section.anchor}">{escape(section.title)}</a></li>'
                    for section in page.sections)  # fmt: skip
    introduction = "".join(f"<p>{escape(text)}</p>" for text in page.introduction)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(page.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#verdict">Skip to the verdict</a>\n'
        f"<header><h1>{escape(page.title)}</h1>{introduction}</header>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>\n'
        + "\n".join(map(_section, page.sections))
        + "\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    anchor = escape(section.anchor)
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">'
        f'<h2 id="{anchor}-title">{escape(section.title)}</h2>\n'
        f"{_nodes(section.children)}</section>"
    )


def _nodes(nodes: Sequence[Node]) -> str:
    return "\n".join(map(_node, nodes))


def _node(node: Node) -> str:
    match node:
        case Text():
            return f"<p>{escape(node.text)}</p>"
        case Bullets():
            items = "".join(f"<li>{escape(item)}</li>" for item in node.items)
            return f"<ul>{items}</ul>" if items else ""
        case Code():
            return f'<pre tabindex="0"><code>{escape(node.text)}</code></pre>'
        case Table():
            return _table(node)
        case Chart():
            return f"<figure>{node.svg}<figcaption>{escape(node.caption)}</figcaption></figure>"
        case Image():
            return (f'<figure class="wide"><img src="{_data(node)}" '
                    f'alt="{escape(node.alternative)}"></figure>')  # fmt: skip
        case Row():
            return f'<div class="row">{_nodes(node.children)}</div>'
        case Details():
            opened = " open" if node.opened else ""
            return (f"<details{opened}><summary>{escape(node.summary)}</summary>\n"
                    f"{_nodes(node.children)}</details>")  # fmt: skip
        case Callout():
            return (f'<div class="callout {escape(node.kind)}">'
                    f'<p class="word">{escape(node.title)}</p>'
                    f"{_nodes(node.children)}</div>")  # fmt: skip


def _data(image: Image) -> str:
    """The picture itself, as an address."""
    try:
        content = image.path.read_bytes()
    except OSError as error:
        raise LaftError(f"{image.path}: cannot be read ({error.strerror})") from error
    if not content.startswith(_PNG):
        raise LaftError(f"{image.path}: no PNG image; draw it again with laft tsne")
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in table.header)
    body = []
    for row in table.rows:
        if isinstance(row, str):
            body.append(f'<tr class="block"><th scope="rowgroup" colspan="{len(table.header)}">'
                        f"{escape(row)}</th></tr>")  # fmt: skip
        else:
            first, *others = row
            cells = [_entry(first, 'th scope="row"'), *(_entry(entry, "td") for entry in others)]
            body.append(f"<tr>{''.join(cells)}</tr>")
    caption, kind = escape(table.caption), ' class="prose"' if table.prose else ""
    rows = "\n".join(body)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}">'
        f"<table{kind}><caption>{caption}</caption><thead><tr>{heads}</tr></thead>\n"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _entry(entry: Entry, tag: str) -> str:
    lang = f' lang="{escape(names.html_lang(entry.lang))}"' if entry.lang else ""
    muted = ' class="muted"' if entry.muted else ""
    text = escape(entry.text)
    if entry.strong:
        text = f"<strong>{text}</strong>"
    inside = f"<span{lang}>{text}</span>" if lang else text
    note = f"<small>{escape(entry.note)}</small>" if entry.note else ""
    return f"<{tag}{muted}>{inside}{note}</{tag.split()[0]}>"
