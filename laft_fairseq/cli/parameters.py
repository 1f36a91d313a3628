"""`laft parameters`: the parameters of a method by part, and what each stage trains."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from laft_fairseq.analysis.parameter_counts import Counts, Part

_DESCRIPTION = """\
Count the parameters of a method at an architecture, by part, and those that stage 1 (task
laft_denoising) and stage 2 (laft_generation) train. Nothing is allocated or loaded.
"""
_EPILOG = """\
example:
  laft parameters --arch laft_mbart
  laft parameters --arch laft_mbart --method mbart_enc --langs en_XX,fr_XX,zh_CN --json counts.json
"""
_NOTE = """\
Tied embeddings count once. Shares are given of two denominators; the paper's 3.8 % and 19.2 %
do not share one, so that they compare neither with each other nor with a single line here.
"""
_STAGES = {"denoising": "stage 1", "generation": "stage 2"}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `parameters`."""
    parser = subparsers.add_parser(
        "parameters",
        help="count parameters by part, and what each stage trains",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--arch", required=True, help="architecture, such as laft_mbart")
    add("--method", default="laft", help="system, such as mbart_full (default: %(default)s)")
    add("--langs", default="en_XX,fr_XX", metavar="L,L",
        help="languages that have an adapter (default: %(default)s)")  # fmt: skip
    add("--new-langs", metavar="L,L",
        help="languages new to the backbone, each with an adapter and embeddings of its "
        "tag")  # fmt: skip
    add("--vocab", type=int, default=250_027, metavar="V",
        help="entries of the dictionary, tags and <mask> included (default: cc25's, "
        "%(default)s)")  # fmt: skip
    add("--json", type=Path, metavar="OUT", help="write all numbers there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Count, write the JSON and print the table.

    Raises:
        LaftError: unknown architecture or method, no language, too small a vocabulary.
    """
    from laft_fairseq.analysis.parameter_counts import count
    from laft_fairseq.files import check_output, write_json
    from laft_fairseq.languages.tags import split_tags

    if args.json is not None:
        check_output(args.json)
    langs, new = split_tags(args.langs), split_tags(args.new_langs)
    split_tags(",".join([*langs, *new]))  # refuses what both list
    counts = count(args.arch, args.method, langs, args.vocab, new)
    if args.json is not None:
        write_json(args.json, as_json(counts))
    print(table(counts))
    return 0


def as_json(counts: "Counts") -> dict[str, Any]:
    """Return all numbers of the table."""
    stages = {
        stage: {
            "trained": counts.trained(stage),
            "of_backbone": counts.trained(stage) / counts.backbone,
            "of_total": counts.trained(stage) / counts.total,
        }
        for stage in _STAGES
    }
    parts = [
        {"name": part.name, "added": part.added, "count": part.count, "trained": part.trained}
        | ({"unit": part.unit, "units": part.units} if part.unit else {})
        for part in counts.parts
    ]
    return {
        "arch": counts.arch,
        "method": counts.method,
        "langs": counts.langs,
        "vocabulary": counts.vocabulary,
        "backbone": counts.backbone,
        "total": counts.total,
        "stages": stages,
        "parts": parts,
    }


def table(counts: "Counts") -> str:
    """Return the table that `laft parameters` prints."""
    from tabulate import SEPARATING_LINE, tabulate

    trained = [counts.trained(stage) for stage in _STAGES]
    share = percent(counts.total, counts.backbone)
    rows = [
        *(_row(part, counts.backbone) for part in counts.parts if not part.added),
        SEPARATING_LINE,
        ("backbone", millions(counts.backbone), "100.00 %", "", "", ""),
        SEPARATING_LINE,
        *(_row(part, counts.backbone) for part in counts.parts if part.added),
        SEPARATING_LINE,
        ("total", millions(counts.total), share, *map(millions, trained), ""),
    ]
    for name, whole in (("backbone", counts.backbone), ("total", counts.total)):
        shares = [percent(number, whole) for number in trained]
        rows.append((f"trained, of the {name}", "", "", *shares, ""))
    title = (
        f"{counts.arch}, method {counts.method}, {counts.vocabulary:,} dictionary entries, "
        f"languages {', '.join(counts.langs)}"
    )
    headers = ("part", "parameters", "of backbone", *_STAGES.values(), "made of")
    alignment = ("left", *["right"] * 4, "left")
    body = tabulate(rows, headers, "simple", colalign=alignment, disable_numparse=True)
    return f"{title}\n\n{body}\n\n{_NOTE}"


def _row(part: "Part", backbone: int) -> tuple[str, ...]:
    trained = [millions(part.trained[stage]) for stage in _STAGES]
    article = "an" if part.unit.startswith("e") else "a"
    size = f"{part.each / 1e6:.3f}M"
    made_of = f"{part.units} x {size} {article} {part.unit}" if part.unit else ""
    return part.name, millions(part.count), percent(part.count, backbone), *trained, made_of


def millions(number: int) -> str:
    """25192448 -> `25.19M`; none is a dash, and small numbers keep three digits."""
    if number == 0:
        return "–"
    return f"{number / 1e6:.2f}M" if number >= 1e6 else f"{number / 1e6:.3g}M"


def percent(number: int, whole: int) -> str:
    """Return a share with two decimals."""
    return f"{100 * number / whole:.2f} %"
