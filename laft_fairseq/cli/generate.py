"""`laft generate`: raw text of one language in, a line of raw text out for each line."""

import argparse
import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

_DESCRIPTION = """\
Read texts from standard input, one a line, and write the model's output for each to standard
output, one a line, in order. Nothing has to be binarised: sentencepiece is applied to the input and
undone in the output. An empty line gives an empty line; a text longer than the model's positions is
cut, and a line on standard error names it.
"""
_EPILOG = """\
examples:
  laft generate --checkpoint stage2/checkpoint_best.pt --lang fr_XX < in.txt > out.txt
  laft generate --checkpoint stage2/checkpoint_best.pt --lang fr_XX --output-lang zh_CN < in.txt
  laft generate --checkpoint exported-folder --lang fr_XX < in.txt
  tail -f texts | laft generate --checkpoint whole.pt --lang fr_XX --buffer-size 1

dict.txt, langs.txt and sentence.bpe.model are looked for in --data, beside the checkpoint, beside
its backbone, and in the data-bin that it was trained on.

--output-lang asks for another language than the input's: the input's components are removed, the
other language's mean s_L is fused and its adapters are used. The paper does not do this.

With --scores each line is LINE <tab> RANK <tab> SCORE <tab> TEXT, with --nbest N there are N such
lines for each line in, best first. The score is the log2-probability over length to the power of
--lenpen, as on fairseq-generate's H- lines.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `generate`."""
    parser = subparsers.add_parser(
        "generate",
        help="raw text in, raw text out",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="C.pt",
        help="slim or whole, or a plain backbone, or the folder of one named model.pt")  # fmt: skip
    add("--lang", required=True, metavar="TAG", help="the input's language, such as fr_XX")
    add("--output-lang", metavar="TAG", help="language to write in (default: the input's)")
    _add_search(parser)
    add("--buffer-size", type=int, metavar="N",
        help="lines read ahead; similar lengths among them share a batch, and each output comes "
        "when all before it are done (default: 1024, on a terminal 1)")  # fmt: skip
    add("--data", metavar="DIR", help="folder of dict.txt, langs.txt, tag-layout.txt")
    add("--sentencepiece-model", metavar="FILE", help="the backbone's sentence.bpe.model")
    add("--backbone", metavar="M.pt", help="of a slim checkpoint, where it is not found by itself")
    add("--device", help="cpu, cuda or cuda:1 (default: cuda where there is one)")


def _add_search(parser: argparse.ArgumentParser) -> None:
    """Add the fields of hub.search.Search, under fairseq-generate's names."""
    shown = "(default: %(default)s)"
    options: tuple[tuple[str, Any, Any, str], ...] = (
        ("--beam", int, 5, f"hypotheses kept at each step {shown}"),
        ("--lenpen", float, 1.5, f"length penalty: above 1 favours long outputs {shown}"),
        ("--nbest", int, 1, f"outputs for each line, at most --beam; above 1 as --scores {shown}"),
        ("--max-len-a", float, 0.0, f"an output has at most a * source + b tokens {shown}"),
        ("--max-len-b", int, 200, f"the b of it {shown}"),
        ("--min-len", int, 1, f"shortest output in tokens {shown}"),
        ("--no-repeat-ngram-size", int, 0, "no n-gram of this many tokens twice; 0: allowed"),
        ("--max-tokens", int, 8192, f"largest batch in tokens, padding included {shown}"),
        ("--batch-size", int, 32, f"largest batch in texts {shown}"),
    )
    for name, kind, default, words in options:
        metavar = "X" if kind is float else "N"
        parser.add_argument(name, type=kind, default=default, metavar=metavar, help=words)
    parser.add_argument("--scores", action="store_true", help="tab-separated, with line and score")


def run(args: argparse.Namespace) -> int:
    """Generate until the input ends.

    Raises:
        LaftError: wrong input, in one line that names file, language and remedy.
    """
    from laft_fairseq.files import check_exists

    check_exists(args.checkpoint, "no such checkpoint")
    with _warnings_alone():
        return _generate(args)


@contextlib.contextmanager
def _warnings_alone() -> Iterator[None]:
    """Let no line of the log through but warnings: the rest is meant for a training."""
    logger = logging.getLogger("laft_fairseq")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def _generate(args: argparse.Namespace) -> int:
    """Read, search and write, a buffer of lines at a time."""
    from dataclasses import fields

    from laft_fairseq import hub
    from laft_fairseq.errors import LaftError
    from laft_fairseq.files import decoded_lines
    from laft_fairseq.hub.generator import BUFFER
    from laft_fairseq.hub.search import Search
    from laft_fairseq.progress import progress

    if sys.stdin is None:
        raise LaftError("standard input is closed: the texts are read from it, a line each")
    search = {field.name: getattr(args, field.name) for field in fields(Search)}
    Search(**search)  # refuses what does not go together before anything is loaded
    generator = hub.load(
        args.checkpoint,
        args.data,
        args.sentencepiece_model,
        args.backbone,
        device=args.device,
    )
    size = args.buffer_size
    if size is None:
        size = 1 if sys.stdin.isatty() else BUFFER
    out = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(encoding="utf-8", newline="\n")
    lines = decoded_lines(sys.stdin.buffer, "standard input")
    count = _number_of_lines(sys.stdin.buffer)
    with progress("generating", count, "lines", disable=out.isatty()) as bar:
        outputs = generator.hypotheses(
            lines, args.lang, args.output_lang, size, bar.update, **search
        )
        for number, hypotheses in enumerate(outputs, 1):
            for rank, hypothesis in enumerate(hypotheses, 1):
                numbers = f"{number}\t{rank}\t{hypothesis.score:.4f}\t"
                shown = numbers if args.scores or args.nbest > 1 else ""
                print(f"{shown}{hypothesis.text}", file=out)
            out.flush()
    return 0


def _number_of_lines(stream: Any) -> int | None:
    """Return how many lines are left in a file; None for a pipe or a terminal."""
    import io
    import os
    import stat

    try:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return None
    except io.UnsupportedOperation:
        return None
    start, count, last = stream.tell(), 0, b"\n"
    while block := stream.read(io.DEFAULT_BUFFER_SIZE):
        count, last = count + block.count(b"\n"), block[-1:]
    stream.seek(start)
    return count + (last != b"\n")
