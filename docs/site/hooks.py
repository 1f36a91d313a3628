"""What `make docs` adds to MkDocs: pages from the whole repository, the options, the Python API.

Documents link to each other by their places in the repository, as GitHub shows them. A page of the
site has the same place, without `docs/`; a linked file that is no page is copied into the site.
"""

from __future__ import annotations

import argparse
import html
import logging
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from omegaconf import MISSING

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
from tests.house import shipped  # noqa: E402

logging.root.addHandler(logging.NullHandler())  # else fairseq sets up the root logger, at DEBUG
PACKAGE = REPOSITORY / "laft_fairseq"
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
LIST = re.compile(r"^(?! *(?:[-*]|\d+\.) |[#|>]|\s*$|  )(.+)\n(?=(?:[-*]|\d+\.) )", re.MULTILINE)
# What a page may load, as opposed to where a reader may go.
LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\ssrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*\shref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|(?:@import|url\()\s*["']?((?:https?:)?//[^"')\s]+)"""
)


def in_site(name: str) -> str:
    """The place in the site of a file of the repository; of a page of tables that of its HTML."""
    return name.removeprefix("docs/").replace("/tables.md", "/tables.html")


def links(name: str) -> Iterator[tuple[str, str]]:
    """The relative links of a document, each with the place in the repository it leads to."""
    text = BLOCK.sub("", (REPOSITORY / name).read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if not re.match(r"[a-z]+:|#", link):
            target = posixpath.join(posixpath.dirname(name), link.partition("#")[0])
            yield link, posixpath.normpath(target)


def on_files(files: Files, config: Any) -> Files:
    """Add the documents outside docs/, the files that documents link to, and what is generated."""
    documents = [
        n
        for n in map(shipped.name, shipped.files())
        if n.endswith(".md") and not n.endswith("/tables.md") and not n.startswith(".github/")
    ]
    for name in [*documents, *(target for each in documents for _, target in links(each))]:
        source, place = REPOSITORY / name, in_site(name)
        if not source.exists():
            raise PluginError(f"{name}: a document links to it, and it is not there")
        if source.is_file() and files.get_file_from_path(place) is None:
            source = source.with_suffix(".html") if name.endswith("/tables.md") else source
            files.append(File.generated(config, place, abs_src_path=str(source)))
    for place, content in {**option_pages(), **api_pages()}.items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links lead to places in the site, and lists begin a block, as they do on GitHub."""
    here = page.file.src_uri
    name = next((n for n in (f"docs/{here}", here) if (REPOSITORY / n).is_file()), None)
    if name is None:  # generated
        return markdown
    for link, target in dict(links(name)).items():
        anchor = link.partition("#")[1] + link.partition("#")[2]
        relative = posixpath.relpath(in_site(target), posixpath.dirname(here) or ".")
        markdown = markdown.replace(f"]({link})", f"]({relative}{anchor})")
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(p if p.startswith("```") else LIST.sub(r"\1\n\n", p) for p in parts)


def on_page_content(content: str, page: Any, config: Any, files: Files) -> str:
    """Leave out the docstrings' roles, such as `:func:`, before a name in code."""
    return re.sub(r":(?:func|class|meth|mod):(?=<code>)", "", content)


def on_post_build(config: Any) -> None:
    """Refuse a site of which a page or style sheet loads anything from the network.

    The pages of tables, which are copied, are checked too.
    """
    for path in sorted(Path(config["site_dir"]).rglob("*")):
        if path.suffix in {".html", ".css"}:
            loaded = LOADED.search(path.read_text(encoding="utf-8"))
            if loaded:
                raise PluginError(f"{path}: loads {next(filter(None, loaded.groups()))}")


def cell(text: str) -> str:
    """A table's cell: one line, with Markdown's and HTML's characters as they are."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]|#])", r"\\\1", html.escape(line, quote=False))


def options(parser: argparse.ArgumentParser) -> str:
    """A table of the options of a parser: name, default, and what its help says."""
    rows = ["| option | default | |", "|---|---|---|"]
    formatter = parser._get_formatter()
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        names = ", ".join(f"`{name}`" for name in action.option_strings or [action.dest])
        taken = action.metavar or ""
        if action.choices and not action.metavar:
            taken = ", ".join(map(str, action.choices))
        names += f" {cell(str(taken))}" if action.nargs != 0 else ""
        default = "required" if action.required and action.option_strings else ""
        if action.default not in (None, False, argparse.SUPPRESS, MISSING) and not (
            str(action.default).startswith("${")  # copied from another of fairseq's groups
        ):
            default = f"`{action.default}`"
        rows.append(f"| {names} | {default} | {cell(formatter._expand_help(action))} |")
    return "\n".join(rows)


def option_pages() -> dict[str, str]:
    """Pages of every option: `laft`, `fairseq-train`, the scripts, the workflow."""
    from fairseq.dataclass.utils import gen_parser_from_dataclass

    from laft_fairseq.cli import main
    from laft_fairseq.criterions.laft_adversarial import LaftAdversarialOptions
    from laft_fairseq.models.options import LAFTOptions
    from laft_fairseq.scoring.fairseq_scorer import RougeConfig
    from laft_fairseq.tasks.laft_denoising import LaftDenoisingOptions
    from laft_fairseq.tasks.laft_generation import LaftGenerationOptions

    laft = ["# Options of `laft`", ""]
    parser = main.build_parser(main.subcommands())
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for name, sub in subparsers.choices.items():
        laft += [f"## laft {name}", "", options(sub), "", "```"]
        laft += [f"{sub.description or ''}\n\n{sub.epilog or ''}".strip(), "```", ""]

    fairseq = ["# Options of `fairseq-train`", "",
               "With `--user-dir laft_fairseq`; `fairseq-train --help` lists fairseq's own too.",
               ""]  # fmt: skip
    for title, fields in (
        ("--arch laft_mbart", LAFTOptions),
        ("--task laft_denoising", LaftDenoisingOptions),
        ("--task laft_generation", LaftGenerationOptions),
        ("--criterion laft_adversarial", LaftAdversarialOptions),
        ("--scoring rouge", RougeConfig),
    ):
        group = argparse.ArgumentParser(add_help=False)
        gen_parser_from_dataclass(group, fields())
        fairseq += [f"## {title}", "", options(group), ""]

    scripts = ["# Options of the scripts", ""]
    for script in sorted((REPOSITORY / "preprocess").glob("*.sh")):
        if script.name != "environment.sh":
            environment = {**os.environ, "PYTHON": sys.executable}
            shown = subprocess.run(
                [script, "--help"], env=environment, capture_output=True, text=True, check=True
            )
            scripts += [f"## {script.name}", "", "```", shown.stdout.strip(), "```", ""]

    settings = (REPOSITORY / "examples/workflow/defaults.yaml").read_text(encoding="utf-8")
    workflow = ["# Settings of the workflow", "", "```yaml", settings.strip(), "```", ""]
    pages = {"laft": laft, "fairseq": fairseq, "scripts": scripts, "workflow": workflow}
    return {f"options/{name}.md": "\n".join(lines) for name, lines in pages.items()}


def api_pages() -> dict[str, str]:
    """A page for each package, of all its modules, made of their docstrings."""
    pages: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        if parts[-1] not in {"__init__", "__main__"}:
            package = parts[1] if len(parts) > 2 else "laft_fairseq"
            pages.setdefault(package, []).append(".".join(parts))
    return {
        f"api/{package}.md": "\n\n".join([f"# {package}", *(f"::: {name}" for name in modules)])
        for package, modules in pages.items()
    }
