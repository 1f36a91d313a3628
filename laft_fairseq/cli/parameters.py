"""`laft parameters`: the parameters of a method by part, and what each stage trains."""

import argparse
from pathlib import Path
from typing import Any

HELP = "count parameters by part, and what each stage trains"
DESCRIPTION = """\
Count the parameters of a method at an architecture, by part, and those that stage 1 (task
laft_denoising) and stage 2 (laft_generation) train. Nothing is allocated or loaded.
"""
EPILOG = """\
example:
  laft parameters --arch laft_mbart
  laft parameters --arch laft_mbart --method mbart_enc --langs en_XX,fr_XX,zh_CN --json counts.json
"""
_NOTE = """\
Tied embeddings count once. Shares are given of two denominators. The paper's shares do not all have
the same one: 3.8 % is LAFT's share of the total, with two languages; 19.2 % is neither share here.
"""
_STAGES = {"denoising": "stage 1", "generation": "stage 2"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
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
    add("--lora-rank", type=int, default=0, metavar="R",
        help="of --method lora (default: LAFT's share of parameters)")  # fmt: skip
    add("--json", type=Path, metavar="OUT", help="write all numbers there")


def run(args: argparse.Namespace) -> int:
    """Count, write the JSON and print the table."""
    from laft_fairseq.analysis.parameter_counts import count
    from laft_fairseq.files import check_output, write_json
    from laft_fairseq.languages.tags import split_tags

    if args.json is not None:
        check_output(args.json)
    langs = split_tags(args.langs, "--langs")
    new = split_tags(args.new_langs, "--new-langs")
    split_tags(",".join([*langs, *new]))  # refuses what both list
    counts = count(args.arch, args.method, langs, args.vocab, new, args.lora_rank)
    if args.json is not None:
        write_json(args.json, counts)
    print(table(counts))
    return 0


def table(report: dict[str, Any]) -> str:
    """Return the table that `laft parameters` prints, of the counts of `parameter_counts`."""
    from tabulate import SEPARATING_LINE, tabulate

    from laft_fairseq.reporting.names import millions
    from laft_fairseq.reporting.paper import TABLE3

    backbone, total = report["backbone"], report["total"]
    trained = [report["stages"][stage]["trained"] for stage in _STAGES]
    rows: list[Any] = [_row(part, backbone) for part in report["parts"] if not part["added"]]
    rows += [SEPARATING_LINE, ("backbone", millions(backbone), "100.00 %"), SEPARATING_LINE]
    rows += [_row(part, backbone) for part in report["parts"] if part["added"]]
    rows += [
        SEPARATING_LINE,
        ("total", millions(total), percent(total, backbone), *map(millions, trained)),
    ]
    for name, whole in (("backbone", backbone), ("total", total)):
        shares = [percent(number, whole) for number in trained]
        rows.append((f"trained, of the {name}", "", "", *shares))
    if report["method"] in TABLE3:
        rows.append(
            ("trained, the paper, mBART-large", "", "", "", f"{TABLE3[report['method']][1]} %")
        )
    title = (
        f"{report['arch']}, method {report['method']}, {report['vocabulary']:,} dictionary "
        f"entries, languages {', '.join(report['langs'])}"
    )
    headers = ("part", "parameters", "of backbone", *_STAGES.values(), "made of")
    alignment = ("left", *["right"] * 4, "left")
    body = tabulate(rows, headers, "simple", colalign=alignment, disable_numparse=True)
    return f"{title}\n\n{body}\n\n{_NOTE}"


def _row(part: dict[str, Any], backbone: int) -> tuple[str, ...]:
    from laft_fairseq.reporting.names import millions

    trained = [millions(part["trained"][stage]) for stage in _STAGES]
    made_of = ""
    if unit := part.get("unit"):
        article = "an" if unit.startswith("e") else "a"
        made_of = f"{part['units']} x {part['count'] / part['units'] / 1e6:.3f}M {article} {unit}"
    size, share = millions(part["count"]), percent(part["count"], backbone)
    return part["name"], size, share, *trained, made_of


def percent(number: int, whole: int) -> str:
    """Return a share with two decimals."""
    return f"{100 * number / whole:.2f} %"
