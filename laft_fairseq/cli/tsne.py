"""`laft tsne`: the paper's Figure 2 with numbers: how much of their language sentences show."""

import argparse
import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laft_fairseq.errors import LaftError, flag

if TYPE_CHECKING:
    from laft_fairseq.analysis.figure2 import Panel

HELP = "draw where sentences of each language lie before and after removal"
DESCRIPTION = """\
Draw t-SNE maps of sentence representations (the mean over a sentence's own tokens), the first
language paired with each other one: encoder output, after removal, after fusion. Under each map
stand numbers taken in the full width: the silhouette of the two languages (0: they lie within each
other), the accuracy of a linear probe of the language by sentence and by token, and with --parallel
that of finding translations by cosine, means not centred; with --mask-latin also without the Latin
words that a sentence shares with its translation. A probe near 100 % after removal does not refute
anything by itself: a trace too small to matter to a decoder is enough for it.
"""
EPILOG = """\
example:
  laft tsne --checkpoint stage2/checkpoint_best.pt --data data-bin --langs en_XX,fr_XX,zh_CN \\
      --split test --parallel --out figure2.png --json figure2.json
  laft tsne --checkpoint stage2/checkpoint_best.pt --data data-bin --langs en_XX,fr_XX \\
      --parallel --mask-latin --measures-only --json measures.json
"""
STAGE_TITLES = {
    "e": "encoder output  $e$",
    "r": "after removal  $r$",
    "fused": "after fusion  $B(h, c_L)$",
}
STAGE_NAMES = {"e": "encoder output", "r": "after removal", "fused": "after fusion"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="C.pt", help="slim or whole, or a plain mBART")
    add("--data", required=True, metavar="DATA-BIN", help="pairs' sources or monolingual text")
    add("--langs", required=True, metavar="L,L", help="two or more; the first is in every panel")
    add("--out", type=Path, metavar="FIGURE.png", help="figure to write")
    add("--measures-only", action="store_true", help="no maps: the numbers alone, and no --out")
    add("--split", default="test", help="which split to read (default: %(default)s)")
    add("--max-sentences", type=int, default=500, metavar="N",
        help="of each language, evenly spread over the split (default: %(default)s)")  # fmt: skip
    add("--parallel", action="store_true",
        help="line i of each language translates the others': report retrieval")  # fmt: skip
    add("--mask-latin", action="store_true",
        help="report retrieval without the Latin words that translations share too")  # fmt: skip
    add("--tokens-per-text", type=int, default=4, metavar="N",
        help="drawn for the probe by token; 0: leave it out (default: %(default)s)")  # fmt: skip
    add("--seed", type=int, default=1, help="of t-SNE, draws and probes (default: %(default)s)")
    add("--json", type=Path, metavar="OUT", help="write all numbers there")
    add("--caption-command", metavar="TEXT",
        help="what stands under the figure for this command and its folders")  # fmt: skip
    add("--backbone", metavar="M.pt", help="of a slim checkpoint, where it is not found by itself")
    add("--tag-layout", choices=("suffix", "prefix"),
        help="where the tag stands (default: DATA/tag-layout.txt, else suffix)")  # fmt: skip
    add("--cpu", action="store_true", help="do not use a GPU")


def run(args: argparse.Namespace) -> int:
    """Represent, measure, draw; write figure and JSON, print the table."""
    import torch

    from laft_fairseq.analysis.report import measures
    from laft_fairseq.analysis.representations import read_lines
    from laft_fairseq.files import write_json
    from laft_fairseq.hub.loading import load_model
    from laft_fairseq.languages.tags import split_tags

    tags = split_tags(args.langs, "--langs")
    _check(args, tags)
    model, task = load_model(
        args.checkpoint, args.data, backbone=args.backbone, layout=args.tag_layout
    )
    sentences = {tag: read_lines(task, tag, args.split) for tag in tags}
    if args.parallel and len(set(map(len, sentences.values()))) > 1:
        counts = ", ".join(f"{tag} {len(available)}" for tag, available in sentences.items())
        raise LaftError(
            f"{args.data}: --parallel, but the {args.split} texts differ in number ({counts}); "
            "leave --parallel out, or binarise parallel files"
        )
    if torch.cuda.is_available() and not args.cpu:
        model = model.cuda()
    numbers, states = measures(
        model, sentences, args.max_sentences, args.tokens_per_text, args.seed,
        args.parallel, args.mask_latin,
    )  # fmt: skip
    report = {"command": _command(args), **numbers}
    if args.out is not None:
        _draw(args, report, states)
    if args.json is not None:
        write_json(args.json, report)
    print(table(report))
    if args.out is not None:
        print(f"wrote {args.out}")
    return 0


def _draw(args: argparse.Namespace, report: dict[str, Any], states: Any) -> None:
    """Draw a map for each panel of the report, and add its perplexity there."""
    from laft_fairseq.analysis.figure2 import draw
    from laft_fairseq.files import replacing
    from laft_fairseq.progress import progress

    for name in ("matplotlib", "PIL"):  # fairseq lets them log every step
        logging.getLogger(name).setLevel(logging.WARNING)
    panels = []
    with progress("t-SNE", len(report["panels"]), "maps") as bar:
        for numbers in report["panels"]:
            pair, stage = numbers["langs"], numbers["stage"]
            print(f"{' and '.join(pair)}, {STAGE_NAMES[stage]}: t-SNE", file=sys.stderr)
            panels.append(_panel({tag: states[tag][stage] for tag in pair}, numbers, args.seed))
            bar.update()
    stages = report["stages"]
    figure = draw(
        panels,
        ["  –  ".join(panel["langs"]) for panel in report["panels"][:: len(stages)]],
        [STAGE_TITLES[stage] for stage in stages],
        [_caption(args, report), f"$ {report['command']}"],
    )
    about = {"Title": "Sentence representations by language", "Description": report["command"]}
    with replacing(args.out) as temporary:
        figure.savefig(temporary, format="png", dpi=figure.dpi, metadata=about)


def _check(args: argparse.Namespace, tags: list[str]) -> None:
    """Refuse what can be refused before anything is loaded."""
    from laft_fairseq.files import check_output

    if len(tags) < 2:
        raise LaftError(f"--langs {args.langs}: name two languages or more, such as en_XX,fr_XX")
    if (args.out is None) != args.measures_only:
        raise LaftError("give either --out FIGURE.png or --measures-only")
    if args.mask_latin and not args.parallel:
        raise LaftError("--mask-latin: is about retrieval; give --parallel too")
    if args.tokens_per_text < 0:
        raise LaftError(f"--tokens-per-text {args.tokens_per_text}: must not be negative")
    if args.out is not None and args.out.suffix != ".png":
        raise LaftError(f"{args.out}: the figure is a PNG; let its name end in .png")
    for path in filter(None, (args.out, args.json)):
        check_output(path, args.checkpoint)
    if not 0 <= args.seed < 2**32:
        raise LaftError(f"--seed {args.seed}: must be from 0 to {2**32 - 1}")
    if args.max_sentences < 4:
        raise LaftError(f"--max-sentences {args.max_sentences}: at least 4 are needed")


def _panel(groups: Any, numbers: dict[str, Any], seed: int) -> "Panel":
    """Return the map of two languages at one stage, with the lines under it."""
    from laft_fairseq.analysis import metrics

    a, b = groups
    probe = percent(numbers["probe"]["value"])
    notes = [f"silhouette {numbers['silhouette']:.3f}   ·   probe {probe}"]
    if retrieval := numbers.get("retrieval"):
        forward, backward = percent(retrieval["forward"]), percent(retrieval["backward"])
        notes.append(f"retrieval {a[:2]}→{b[:2]} {forward}, {b[:2]}→{a[:2]} {backward}")
    points, numbers["perplexity"] = metrics.plane(metrics.stack(groups)[0], seed)
    split = len(groups[a])
    return {a: points[:split], b: points[split:]}, notes


def _command(args: argparse.Namespace) -> str:
    """Return the command line, defaults written out, or what is to stand for it."""
    if args.caption_command is not None:
        return str(args.caption_command)
    words = ["laft", "tsne"]
    for name, value in vars(args).items():
        if value is True:
            words.append(flag(name))
        elif isinstance(value, str | int | Path) and value is not False and name != "command":
            words += [flag(name), str(value)]
    return shlex.join(words)


def _caption(args: argparse.Namespace, report: dict[str, Any]) -> str:
    sizes = sorted(set(report["sentences"].values()))
    n = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    first = report["panels"][0]
    words = (
        f"t-SNE (perplexity {first['perplexity']:g}, seed {args.seed}; one map a panel) of "
        f"sentence representations, the mean over a sentence's own tokens; n = {n} {args.split} "
        f"sentences a language; method {report['method']}, removal {report['removal']}. In the "
        f"full {report['d']} dimensions: silhouette of the two languages (0: within each other), "
        f"accuracy of a linear probe of the language (chance {percent(first['probe']['chance'])})"
    )
    if "retrieval" not in first:
        return f"{words}."
    chance = percent(first["retrieval"]["chance"])
    return f"{words}, translations found by cosine, means not centred (chance {chance})."


def percent(share: float) -> str:
    """0.5633 -> `56.3 %`."""
    return f"{100 * share:.1f} %"


def table(report: dict[str, Any]) -> str:
    """Return the numbers as text, a line for each panel."""
    from tabulate import tabulate

    rows = [("languages", "stage", "silhouette", "probe", "by token", "retrieval", "without Latin")]
    rows += [
        (
            " ".join(panel["langs"]),
            STAGE_NAMES[panel["stage"]],
            f"{panel['silhouette']:.3f}",
            percent(panel["probe"]["value"]),
            percent(panel["token_probe"]["value"]) if "token_probe" in panel else "–",
            _both_ways(panel.get("retrieval")),
            _both_ways(panel.get("retrieval_masked")),
        )
        for panel in report["panels"]
    ]
    alignment = ("left", "left", *["right"] * 5)
    lines = [tabulate(rows, tablefmt="plain", colalign=alignment, disable_numparse=True)]
    if report["removed"]:
        shares = ", ".join(f"{tag} {share:.3f}" for tag, share in report["removed"].items())
        lines.append(f"removed, mean |s_L| / |e_L|: {shares}")
    if report["control"]:
        lines.append(f"language components are an ablation: {report['control']}")
    return "\n".join(lines)


def _both_ways(retrieval: dict[str, Any] | None) -> str:
    if retrieval is None:
        return "–"
    return f"{percent(retrieval['forward'])}, {percent(retrieval['backward'])}"
