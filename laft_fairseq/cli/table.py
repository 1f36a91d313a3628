"""`laft table`: the paper's tables from result files, as Markdown and as one HTML page."""

import argparse
import sys
from pathlib import Path

from laft_fairseq.errors import LaftError

_DESCRIPTION = """\
Write the paper's Tables 1, 2 and 3 from the result files of a folder, with a verdict by a rule
fixed before the run, paired differences to LAFT, controls, Figure 2, learning curves and outputs.
Nothing is run; a cell that has no file is "not run". The HTML page needs no network.
"""
_EPILOG = """\
example:
  laft table results --markdown tables.md --html tables.html
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `table`."""
    parser = subparsers.add_parser(
        "table",
        help="write the paper's tables from result files, as Markdown and HTML",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, metavar="RESULTS-DIR", help="read with its folders")
    parser.add_argument("--markdown", type=Path, metavar="T.md", help="write the tables there")
    parser.add_argument("--html", type=Path, metavar="T.html", help="write the page there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read, compare, write; print the verdict.

    Raises:
        LaftError: nothing to write, or wrong input, in one line with file and remedy.
    """
    from laft_fairseq.files import replacing
    from laft_fairseq.tables import html, markdown, page, results
    from laft_fairseq.tables.document import Callout

    if args.markdown is None and args.html is None:
        raise LaftError("nothing to write: give --markdown T.md, --html T.html or both")
    for path in filter(None, (args.markdown, args.html)):
        if not path.parent.is_dir():
            raise LaftError(f"{path}: no such folder {path.parent}; make it first")
    read = results.read(args.results)
    for path in read.left_out:
        print(f"note: {path} states no format and is left out", file=sys.stderr)
    built = page.build(read)
    rendered = {}
    if args.markdown is not None:
        rendered[args.markdown] = markdown.render(built, args.markdown.parent)
    if args.html is not None:
        rendered[args.html] = html.render(built)
    for path, text in rendered.items():
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    word = next(c.title for c in built.sections[0].children if isinstance(c, Callout))
    count = len(read.cells)
    print(f"{count} {'cell' if count == 1 else 'cells'} read; verdict: {word.lower()}")
    for path in rendered:
        print(f"wrote {path}")
    return 0
