"""Writes the page as Markdown, and that with charts as one HTML file that needs nothing else."""

import base64
import functools
import json
import os
import re
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from markupsafe import Markup

from laft_fairseq.errors import LaftError
from laft_fairseq.reporting import charts, details, markup, names, paper, tables
from laft_fairseq.reporting.comparisons import Comparisons
from laft_fairseq.reporting.results import Results

# A block's title is a row whose other entries are empty; in HTML it spans them.
_BLOCK = re.compile(r"<tr>\n<td><em>(.*)</em></td>((?:\n<td[^>]*></td>)*)")


def markdown(results: Results, beside: Path) -> str:
    """Return the page as Markdown, without charts; the figure is linked from `beside`'s folder."""
    figure = ""
    if results.figure is not None:
        relative = os.path.relpath(results.figure.resolve(), beside.resolve())
        figure = quote(Path(relative).as_posix())
    return _render(results, figure, with_charts=False)


def html(results: Results) -> str:
    """Return the page as HTML: no script, no font, no network; every text is escaped.

    Raises:
        LaftError: the figure is no PNG.
    """
    source = _render(results, "figure2.png" if results.figure else "", with_charts=True)
    body = MarkdownIt("commonmark").enable("table").render(source)
    if results.figure is not None:
        content = results.figure.read_bytes()
        if not content.startswith(b"\x89PNG\r\n\x1a\n"):
            raise LaftError(f"{results.figure}: no PNG image; draw it again with laft tsne")
        image = base64.b64encode(content).decode("ascii")
        body = body.replace('src="figure2.png"', f'src="data:image/png;base64,{image}"')
    body = re.sub(
        r"<p><strong>(.*)</strong></p>\n<table>",
        r'<div class="scroll" tabindex="0"><table><caption>\1</caption>',
        body,
    ).replace("</table>", "</table></div>")
    body = _BLOCK.sub(
        lambda row: f'<tr class="block"><th colspan="{row[2].count("<td") + 1}">{row[1]}</th>', body
    )
    body = re.sub(r"<tr>\n<td>(.*)</td>", r'<tr>\n<th scope="row">\1</th>', body)  # row headers
    body = body.replace("ROUGE-L</th>", "ROUGE\N{NON-BREAKING HYPHEN}L</th>")
    titles = re.findall("<h2>(.*)</h2>", body)
    for number, title in enumerate(titles):  # what the contents link to
        body = body.replace(f"<h2>{title}</h2>", f'<h2 id="section{number}">{title}</h2>')
    return _environment().get_template("page.html.j2").render(
        body=Markup(body), titles=map(Markup, titles), title=results.experiment.get("title")
    )  # fmt: skip


@functools.cache
def _environment() -> Environment:
    """Return an environment that escapes every text, for Markdown and HTML alike."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=markup.plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "one_line": markup.one_line,
        "fence": markup.fence,
        "json": functools.partial(json.dumps, ensure_ascii=False),
    }
    return environment


def _render(results: Results, image: str, with_charts: bool) -> str:
    comparisons = Comparisons(results)
    groups = details.by_task_and_language(comparisons)
    text = _environment().get_template("page.md.j2").render(
        results=results,
        experiment=results.experiment,
        comparisons=comparisons,
        groups=groups,
        read=sum(len(system.cells) for systems in groups.values() for system in systems),
        image=Markup(image),
        names=names,
        paper=paper,
        tables=tables,
        details=details,
        charts=charts if with_charts else None,
    )  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", text)
