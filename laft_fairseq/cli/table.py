"""`laft table`: the paper's tables from result files, as Markdown and as one HTML page."""

import argparse
import sys
from pathlib import Path

from laft_fairseq.errors import LaftError

HELP = "write the paper's tables from result files, as Markdown and HTML"
DESCRIPTION = """\
Write the paper's Tables 1, 2 and 3 from the result files of a folder, with trivial baselines,
paired differences to LAFT, ablations, Figure 2, learning curves and outputs. Nothing is run; a
cell that has no file is "not run". The HTML page needs no network. --cells keeps all the results
in one compressed file of JSON lines, which this command reads as well.
"""
EPILOG = """\
example:
  laft table results --markdown tables.md --html tables.html
  laft table results --cells cells.jsonl.xz
  laft table cells.jsonl.xz --html tables.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("results", type=Path, metavar="RESULTS",
                        help="a folder, read with its folders, or a cells.jsonl.xz")  # fmt: skip
    parser.add_argument("--markdown", type=Path, metavar="T.md", help="write the tables there")
    parser.add_argument("--html", type=Path, metavar="T.html", help="write the page there")
    parser.add_argument("--cells", type=Path, metavar="C.jsonl.xz", help="write the results there")


def run(args: argparse.Namespace) -> int:
    """Read, compare and write."""
    from laft_fairseq.files import check_output, replacing
    from laft_fairseq.reporting import page, results

    outputs = [path for path in (args.markdown, args.html, args.cells) if path]
    if not outputs:
        raise LaftError("nothing to write: give --markdown T.md, --html T.html or --cells")
    for path in outputs:
        check_output(path, args.results)
    documents = list(results.documents(args.results))
    read = results.collect(documents, args.results)
    for file in read.left_out:
        print(f"note: {file} states no format and is left out", file=sys.stderr)
    rendered = {}
    if args.markdown is not None:
        rendered[args.markdown] = page.markdown(read, args.markdown.parent).encode(errors="replace")
    if args.html is not None:
        rendered[args.html] = page.html(read).encode(errors="replace")
    if args.cells is not None:
        rendered[args.cells] = results.pack(documents)
    for path, content in rendered.items():
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    count = len(read.cells)
    print(f"{count} {'cell' if count == 1 else 'cells'} read")
    for path in rendered:
        print(f"wrote {path}")
    return 0
