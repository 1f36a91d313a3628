"""`laft tsne`: the paper's Figure 2, with numbers: do sentences still show their language?"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laft_fairseq.errors import LaftError

if TYPE_CHECKING:
    from laft_fairseq.language_figure import Panel

_DESCRIPTION = """\
Draw t-SNE maps of sentence representations (the mean over a text's own tokens), the first language
paired with each other one: encoder output, after removal, after fusion. Under each map stand
numbers taken in the full width: the silhouette of the two languages (0: they lie within each
other), the accuracy of a linear probe of the language, and with --parallel that of finding
translations by cosine, means not centred.
"""
_EPILOG = """\
example:
  laft tsne --checkpoint stage2/checkpoint_best.pt --data data-bin --langs en_XX,fr_XX,zh_CN \\
      --split test --parallel --out figure2.png --json figure2.json
"""
STAGE_TITLES = {
    "e": "encoder output  $e$",
    "r": "after removal  $r$",
    "fused": "after fusion  $B(h, c_L)$",
}
STAGE_NAMES = {"e": "encoder output", "r": "after removal", "fused": "after fusion"}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `tsne`."""
    parser = subparsers.add_parser(
        "tsne",
        help="draw where sentences of each language lie before and after removal",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="C.pt", help="slim or whole, or a plain mBART")
    add("--data", required=True, metavar="DATA-BIN", help="pairs' sources or monolingual text")
    add("--langs", required=True, metavar="L,L", help="two or more; the first is in every row")
    add("--out", required=True, type=Path, metavar="FIGURE.png", help="figure to write")
    add("--split", default="test", help="which split to read (default: %(default)s)")
    add("--max-sentences", type=int, default=500, metavar="N",
        help="of each language, evenly spread over the split (default: %(default)s)")  # fmt: skip
    add("--parallel", action="store_true",
        help="line i of each language translates the others': report retrieval")  # fmt: skip
    add("--seed", type=int, default=1, help="of t-SNE and the probe (default: %(default)s)")
    add("--json", type=Path, metavar="OUT", help="write all numbers there")
    add("--backbone", metavar="M.pt", help="of a slim checkpoint, where it is not found by itself")
    add("--dictionary-langs", metavar="L,L",
        help="the dictionary's tags in order (default: DATA/langs.txt, else cc25's)")  # fmt: skip
    add("--cpu", action="store_true", help="do not use a GPU")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Represent, measure, draw; write figure and JSON, print the table.

    Raises:
        LaftError: wrong input, in one line that names the file and the remedy.
    """
    from laft_fairseq.cli._files import replacing, write_json
    from laft_fairseq.language_tags import split_tags

    tags = split_tags(args.langs)
    _check(args, tags)
    _quiet()
    from laft_fairseq.language_figure import draw, save

    report, states = _represented(args, tags)
    panels: list[list[Panel]] = []
    for other in tags[1:]:
        panels.append([])
        for stage in report["stages"]:
            print(f"{tags[0]} and {other}, {STAGE_NAMES[stage]}: t-SNE", file=sys.stderr)
            groups = {tag: states[tag][stage] for tag in (tags[0], other)}
            numbers, panel = _panel(groups, args)
            report["panels"].append({"langs": [tags[0], other], "stage": stage, **numbers})
            panels[-1].append(panel)
    rows = [f"{tags[0]}  –  {other}" for other in tags[1:]]
    columns = [STAGE_TITLES[stage] for stage in report["stages"]]
    figure = draw(panels, rows, columns, [_caption(args, report), f"$ {report['command']}"])
    with replacing(args.out) as temporary:
        save(figure, temporary, report["command"])
    if args.json is not None:
        write_json(args.json, report)
    print(table(report))
    print(f"wrote {args.out}")
    return 0


def _quiet() -> None:
    """fairseq lets every library log its every step."""
    import logging

    for name in ("fairseq", "matplotlib", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _check(args: argparse.Namespace, tags: list[str]) -> None:
    """What can be refused before anything is loaded."""
    if len(tags) < 2:
        raise LaftError(f"--langs {args.langs}: name two languages or more, such as en_XX,fr_XX")
    if args.out.suffix != ".png":
        raise LaftError(f"{args.out}: the figure is a PNG; let its name end in .png")
    for path in filter(None, (args.out, args.json)):
        if not path.parent.is_dir():
            raise LaftError(f"{path}: no such folder {path.parent}; make it first")
    if args.max_sentences < 4:
        raise LaftError(f"--max-sentences {args.max_sentences}: at least 4 are needed")


def _represented(args: argparse.Namespace, tags: list[str]) -> tuple[dict[str, Any], Any]:
    """The report so far, and each language's representations by stage."""
    import torch

    from laft_fairseq.loading import load_model
    from laft_fairseq.representations import read_texts, represent, spread

    model, task = load_model(args.checkpoint, args.data, args.dictionary_langs, args.backbone)
    texts = {tag: read_texts(task, tag, args.split) for tag in tags}
    lengths = {tag: len(own) for tag, own in texts.items()}
    if args.parallel and len(set(lengths.values())) > 1:
        counts = ", ".join(f"{tag} {length}" for tag, length in lengths.items())
        raise LaftError(
            f"{args.data}: --parallel, but the {args.split} texts differ in number ({counts}); "
            "leave --parallel out, or binarise parallel files"
        )
    if torch.cuda.is_available() and not args.cpu:
        model = model.cuda()
    states = {}
    for tag, own in texts.items():
        rows = spread(len(own), args.max_sentences)
        print(f"{tag}: {len(rows)} of {len(own)} texts", file=sys.stderr)
        states[tag] = represent(model, own, rows)
    report = {
        "command": _command(args),
        "method": str(model.options.method),
        "removal": str(model.encoder.removal),
        "d": int(model.encoder.embed_tokens.embedding_dim),
        "sentences": {tag: len(found["e"]) for tag, found in states.items()},
        "stages": list(states[tags[0]]),
        "removed": _removed(states),
        "panels": [],
    }
    return report, states


def _removed(states: Any) -> dict[str, float]:
    """The mean of ‖s_L‖ / ‖e_L‖ for each language; s_L is what the mean of r lacks of e's."""
    import numpy as np

    shares = {}
    for tag, found in states.items():
        if "r" in found:
            norm = np.linalg.norm(found["e"], axis=1)  # (n)
            removed = np.linalg.norm(found["e"] - found["r"], axis=1)  # (n)
            shares[tag] = float((removed[norm > 0] / norm[norm > 0]).mean())
    return shares


def _panel(groups: Any, args: argparse.Namespace) -> tuple[dict[str, Any], "Panel"]:
    """The numbers of two languages at one stage, and their map."""
    from dataclasses import asdict

    from laft_fairseq import geometry
    from laft_fairseq.language_figure import Panel

    a, b = groups
    separate, probed = geometry.silhouette(groups), geometry.probe(groups, args.seed)
    notes = [f"silhouette {separate.value:.3f}   ·   probe {percent(probed.value)}"]
    numbers: dict[str, Any] = {"silhouette": separate.value, "probe": asdict(probed)}
    if args.parallel:
        found = geometry.retrieval(groups[a], groups[b])
        centred = geometry.retrieval(groups[a], groups[b], centred=True)
        numbers |= {"retrieval": asdict(found), "retrieval_centred": asdict(centred)}
        there, back = f"{a[:2]}→{b[:2]}", f"{b[:2]}→{a[:2]}"
        notes.append(
            f"retrieval {there} {percent(found.forward)}, {back} {percent(found.backward)}"
        )
    points, perplexity = geometry.plane(geometry.stack(groups)[0], args.seed)
    numbers["perplexity"] = perplexity
    split = len(groups[a])
    return numbers, Panel({a: points[:split], b: points[split:]}, notes)


def _command(args: argparse.Namespace) -> str:
    """The command line again, defaults written out."""
    words = ["laft", "tsne"]
    for name, value in vars(args).items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif isinstance(value, str | int | Path) and value is not False and name != "command":
            words += [option, str(value)]
    return shlex.join(words)


def _caption(args: argparse.Namespace, report: dict[str, Any]) -> str:
    sizes = sorted(set(report["sentences"].values()))
    n = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    first = report["panels"][0]
    words = (
        f"t-SNE (perplexity {first['perplexity']:g}, seed {args.seed}; one map a panel) of "
        f"sentence representations, the mean over a text's own tokens; n = {n} {args.split} texts "
        f"a language; method {report['method']}, removal {report['removal']}. In the full "
        f"{report['d']} dimensions: silhouette of the two languages (0: within each other), "
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
    """The numbers as text, a line a panel."""
    lines = [f"{'languages':<16}{'stage':<16}{'silhouette':>10}{'probe':>9}{'retrieval':>18}"]
    for panel in report["panels"]:
        pair, found = " ".join(panel["langs"]), panel.get("retrieval")
        both = "–"
        if found:
            both = f"{percent(found['forward'])}, {percent(found['backward'])}"
        lines.append(
            f"{pair:<16}{STAGE_NAMES[panel['stage']]:<16}{panel['silhouette']:>10.3f}"
            f"{percent(panel['probe']['value']):>9}{both:>18}"
        )
    removed = ", ".join(f"{tag} {share:.3f}" for tag, share in report["removed"].items())
    if removed:
        lines.append(f"removed, mean |s_L| / |e_L|: {removed}")
    return "\n".join(lines)
