"""Parts of a built page, for tests alone."""

from pathlib import Path

from laft_fairseq.tables import page, results
from laft_fairseq.tables.document import Page, Section, Table


def built(folder: Path) -> Page:
    return page.build(results.read(folder))


def section(found: Page, anchor: str) -> Section:
    return next(one for one in found.sections if one.anchor == anchor)


def rows(node: object) -> dict[str, list[str]]:
    """First column -> the others."""
    assert isinstance(node, Table)
    return {row[0].text: [e.text for e in row[1:]] for row in node.rows if not isinstance(row, str)}
