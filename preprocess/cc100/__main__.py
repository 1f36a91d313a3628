"""What `cc100.sh` runs: a seeded random sample of the sentences of a large text, in one pass."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.files import write_json
from preprocess.cc100.filters import DENSE, MAX_CHARS, reason_sql, scripts_of
from preprocess.cc100.sample import Sample
from preprocess.cc100.stream import read_blocks
from preprocess.common.command import command_parser, number, positive, run_command
from preprocess.common.files import is_up_to_date, provenance_path, sha256, write_lines

FORMAT = "laft-cc100/3"
EXAMPLE = """\
Every distinct line that passes the filters has the same chance; the same seed gives the same
sample. Lines come out in random order, those for validation in OUT's name with .valid before its
suffixes. OUT.provenance.json records what made them.

example:
  preprocess/cc100.sh --in en.txt.xz --lang en_XX --out mono/en_XX.txt.xz
  xz -dc zh-Hans.txt.xz | head -n 2000000 |
      preprocess/cc100.sh --in - --lang zh_CN --out mono/zh_CN.txt.xz --sentences 100000
"""


def parser() -> argparse.ArgumentParser:
    """The command line, as `cc100.sh` shows it."""
    top = command_parser(
        "cc100.sh",
        "A random sample of the sentences of a text too large for memory, one a line.",
        EXAMPLE,
    )
    add, chars, share = top.add_argument, number(int, 1, MAX_CHARS), number(float, 0, 1)
    add("--in", dest="input", required=True, metavar="FILE",
        help="text, .xz or .gz; - is standard input, decompressed")  # fmt: skip
    add("--lang", required=True, metavar="TAG", help="its language, as fr_XX: names the script")
    add("--out", type=Path, required=True, metavar="FILE", help="to write; .xz is compressed")
    add("--sentences", type=positive, default=1_000_000, metavar="N",
        help="to train on (%(default)s)")  # fmt: skip
    add("--valid", type=number(int, 0), default=2000, metavar="N",
        help="more sentences, for validation (%(default)s)")  # fmt: skip
    add("--seed", type=int, default=1, help="another gives another sample (%(default)s)")
    add("--min-chars", type=chars, metavar="N", help="of a sentence (20; in zh, ja, ko 10)")
    add("--max-chars", type=chars, default=1000, metavar="N", help="(%(default)s)")
    add("--min-letters", type=share, default=0.6, metavar="P",
        help="share of letters among all but white space (%(default)s)")  # fmt: skip
    add("--min-script", type=share, default=0.5, metavar="P",
        help="share of the language's script among the letters (%(default)s)")  # fmt: skip
    add("--script", metavar="NAMES", help="the script, if not the language's: Latin,Cyrillic")
    add("--keep-addresses", action="store_true", help="keep lines with a web address")
    add("--no-filters", action="store_true",
        help="keep all but blank, damaged, repeated and very long lines")  # fmt: skip
    return top


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What determines the sample, as its provenance records it."""
    scripts = options.script.split(",") if options.script else scripts_of(options.lang)
    names = ("lang", "sentences", "valid", "seed", "max_chars", "min_letters", "min_script")
    settings = {
        "format": FORMAT,
        "input": options.input if options.input == "-" else Path(options.input).name,
        "script": ",".join(scripts),
        "min_chars": options.min_chars or (10 if scripts[0] in DENSE else 20),
        "addresses": options.keep_addresses,
        **{name: getattr(options, name) for name in names},
    }
    if options.no_filters:
        settings |= {"min_chars": 1, "max_chars": MAX_CHARS, "min_letters": 0.0,
                     "min_script": 0.0, "addresses": True}  # fmt: skip
    if settings["min_chars"] > settings["max_chars"]:
        raise LaftError(f"--max-chars {options.max_chars}: under --min-chars")
    return settings


def describe(sample: Sample) -> str:
    """How many lines were read and looked at, what became of these, how many distinct ones pass."""
    judged = sample.reasons.total()
    shares = [f"{reason} {count / judged:.1%}" for reason, count in sample.reasons.most_common()]
    about = "" if sample.passing() == sample.rows else "about "
    return (
        f"{sample.lines:,} lines read, {judged:,} of them looked at: {', '.join(shares)}; {about}"
        f"{sample.passing():,} distinct sentences pass"
    )


def write(out: Path, valid: int, sample: Sample, provenance: dict[str, Any]) -> None:
    """Write the lines for validation, those for training, and the provenance last."""
    stem, dot, suffixes = out.name.partition(".")
    parts = {out.with_name(f"{stem}.valid{dot}{suffixes}"): (0, valid), out: (valid, sample.rows)}
    for path, (start, stop) in parts.items():
        if stop > start:
            write_lines(path, sample.sentences(start, stop), preset=3)
            print(f"cc100: {path}: {stop - start:,} sentences")
    write_json(
        provenance_path(out),
        {**provenance, "output_sha256": sha256(out), "lines": sample.lines,
         "reasons": sample.reasons, "passing": sample.passing(),
         "date": datetime.now(UTC).isoformat(timespec="seconds")},
    )  # fmt: skip


def make_sample(options: argparse.Namespace) -> None:
    """Read the text and write the sample, unless it is up to date."""
    settings = settings_of(options)
    if is_up_to_date(options.out, settings):
        print(f"cc100: {options.out}: up to date")
        return
    size, started = options.sentences + options.valid, time.monotonic()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".cc100.", dir=options.out.parent) as work:
        sample = Sample(size, options.seed, reason_sql(settings), Path(work))
        for block in read_blocks(options.input):
            sample.add(block)
        sample.cut()
        print(f"cc100: {options.input}: {describe(sample)}", flush=True)
        if sample.rows <= options.valid:
            raise LaftError(
                f"{options.input}: only {sample.rows:,} sentences pass, and --valid takes "
                f"{options.valid:,}: see the counts above, and the filters in --help"
            )
        if sample.rows < size:
            print(f"cc100: these are all that pass, fewer than the {size:,} asked for")
        seconds = round(time.monotonic() - started, 1)
        write(options.out, options.valid, sample, {**settings, "seconds": seconds})


if __name__ == "__main__":
    arguments = parser().parse_args()
    sys.exit(run_command("cc100", lambda: make_sample(arguments)))
