"""What the rules write beside the public commands' own files: choices, result cells, the summary.

python report.py choose|same|cell|counts|experiment|representations|summary ...
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from command import visible_gpus, write_json

FLOORS = {
    "lead1": "LEAD-1: the source's first sentence",
    "source_copy": "the source itself",
    "english_reference": "the English reference: right content, wrong language",
    "oracle": "oracle: the best source sentence",
}
SMALLEST_GAIN = 1.0  # ROUGE-L
STATEMENTS = (
    "The text claims a gain of +0.71 where its table gives +0.52 and +4.07.",
    "The text names 3.8 % and 19.2 % of trained parameters, which do not share a denominator.",
)


def read_json(path: Path | str) -> Any:
    """Return what a JSON file holds."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def lowest(losses: Mapping[str, float | None]) -> str:
    """Return the rate with the lowest loss, of equals the first."""
    for rate, loss in losses.items():
        if loss is None:
            raise ValueError(f"no validation loss at rate {rate}")
    return min(losses, key=lambda rate: losses[rate] or 0.0)


def best(scores: Mapping[str, Mapping[str, float]], langs: Iterable[str]) -> str:
    """Return the rate whose mean ROUGE-L over the languages is highest, of equals the first.

    Raises ValueError where one has no score: a choice among the others would not be fair.
    """
    langs = list(langs)
    for rate, by_language in scores.items():
        for lang in langs:
            if lang not in by_language:
                raise ValueError(f"no validation ROUGE-L in {lang} at rate {rate}")
    means = {rate: fmean(found[lang] for lang in langs) for rate, found in scores.items()}
    return max(means, key=lambda rate: means[rate])


def choose(given: argparse.Namespace) -> None:
    """Write which rate of a grid each selection takes."""
    done = {rate: read_json(path) for rate, path in zip(given.rates, given.done, strict=True)}
    if given.by == "loss":
        scores: dict[str, Any] = {rate: each["valid_loss"] for rate, each in done.items()}
        chosen = {"chosen": lowest(scores)}
    else:
        scores = {rate: each["validation"] for rate, each in done.items()}
        chosen = {}
        for selection, langs in given.selection.items():
            chosen[selection] = given.rates[0] if len(done) == 1 else best(scores, langs)
    write_json(given.out, {**chosen, "validation": scores})


def same(given: argparse.Namespace) -> int:
    """Whether source and target have chosen the same rate: as an exit state."""
    found = read_json(given.out)
    return 0 if found["source"] == found["target"] else 1


def cell(given: argparse.Namespace) -> None:
    """Write one `laft-result/1`: outputs of one system, seed and language, scored."""
    done, scores, facts = read_json(given.done), read_json(given.score), given.facts
    stage1, usage = done["stage1"], read_json(given.usage)
    items = [round(float(item), 4) for item in scores.pop("items")["rougeL"]]
    rates = [stage1["rate"] if stage1 else None, done["rate"]]
    told = read_json(given.data) if given.data else {}
    commands = [*([stage1["command"]] if stage1 else []), done["command"], *given.commands]
    write_json(given.out, {
        "format": "laft-result/1", **facts,
        "learning_rate": {f"stage{n}": rate and float(rate) for n, rate in enumerate(rates, 1)},
        "grid": [float(rate) for rate in given.rates] or [float(done["rate"])],
        "trained": done["trained"],
        "cost": {
            "stage1_seconds": stage1 and stage1["seconds"], "stage2_seconds": done["seconds"],
            "generate_seconds": usage["seconds"],
            "stage1_updates": stage1["updates"] if stage1 else 0, "stage2_updates": done["updates"],
            "peak_mib": done["peak_mib"], "threads": done["threads"],
            **({"interrupted": True} if done["seconds"] is None or
               (stage1 and stage1["seconds"] is None) else {}),
        },
        "commands": commands,
        "curve": (stage1["curve"] if stage1 else []) + done["curve"],
        **{key: told[key] for key in ("training_pairs",) if key in told},
        "scores": scores,
        **({"other_scores": read_json(given.other)} if given.other else {}),
        "items": {"rougeL": items},
        "outputs": lines(given.hypotheses)[:10],
    })  # fmt: skip


def lines(path: Path) -> list[str]:
    """Return a text file's lines, parted by line feeds alone."""
    text = path.read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n") if text else []


def counts(given: argparse.Namespace) -> None:
    """Write how many lines each file of pairs has."""
    write_json(given.out, {path.stem: len(lines(path)) for path in sorted(given.raw.glob("*.tsv"))})


def experiment(given: argparse.Namespace) -> None:
    """Write `laft-experiment/1`: what is compared with what, and on which machine and backbone."""
    facts, counts = given.facts, read_json(given.data)
    targets, card = facts["targets"], given.backbone / "card.json"
    known = read_json(card) if card.exists() else {}
    samples = {
        lang: {kind: lines(given.raw / f"{lang}.test.{end}")[:10]
               for kind, end in (("inputs", "src"), ("references", "tgt"))} for lang in targets
    }  # fmt: skip
    budget = facts.pop("budget") | {
        "test_items": {lang: counts[f"{lang}.test"] for lang in targets if f"{lang}.test" in counts}
    }
    device = "GPU" if visible_gpus() else "CPU"
    write_json(given.out, {
        "format": "laft-experiment/1", **facts, "budget": budget,
        "backbone": {"name": known.get("name", given.backbone.name)}
        | {key: known.get(key) for key in ("parameters", "tokens", "fingerprint")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {device}",
        "verdict": {"smallest_gain": SMALLEST_GAIN},
        "samples": {facts["task"]: samples},
        "paper": {"source": "Wu et al., INLG 2022", "cells": [], "statements": list(STATEMENTS)},
    })  # fmt: skip


def representations(given: argparse.Namespace) -> None:
    """Write `laft-representations/1` from the report of `laft tsne`."""
    report = {key: value for key, value in read_json(given.data).items()
              if key not in {"checkpoint", "data"}}  # fmt: skip
    measures = {**report, "command": given.commands[0]}
    write_json(given.out, {"format": "laft-representations/1", **given.facts, "measures": measures})


def percent(value: float | None) -> str:
    """Return a share, or a dash where it cannot be said."""
    return "-" if value is None else f"{value:.1f} %"


def interval(score: Mapping[str, float]) -> str:
    """Return ``21.3 (19.8 to 22.9)``."""
    return f"{score['f']:.1f} ({score['low']:.1f} to {score['high']:.1f})"


def row(found: Mapping[str, Any]) -> str:
    """Return a result's line of the summary."""
    scores, cost, trained = found["scores"], found["cost"], found["trained"]
    name = f"**{found['method']}**"
    name += f" {found['variant']}" * (found["variant"] != "main")
    name += f", {found['setting']}" * (found["setting"] != "zero-shot")
    name += f", rate by {found['selection']}" * (found["selection"] == "target")
    name += f", seed {found['seed']}" * (found["seed"] > 1)
    seconds = [cost["stage1_seconds"] or 0 if cost["stage1_updates"] else 0, cost["stage2_seconds"]]
    minutes = "-" if cost.get("interrupted") else f"{sum(seconds) / 60:.1f}"
    other = found.get("other_scores")
    rouge = interval(scores["rougeL"])
    if other:
        rouge += f"; ROUGE-1 {scores['rouge1']['f']:.1f}, ROUGE-2 {scores['rouge2']['f']:.1f}; "
        rouge += f"unicode {other['rougeL']['f']:.1f}"
    share = f"{trained['parameters'] / 1e6:.2f}M of {trained['of'] / 1e6:.2f}M"
    return (
        f"| {name} | {found['lang']} | {rouge} | {percent(scores['right_language'])} "
        f"| {percent(scores['copied'])} | {scores['length_ratio'] or 0:.2f} "
        f"| {share} ({100 * trained['parameters'] / trained['of']:.1f} %) | {minutes} |"
    )


def summary(given: argparse.Namespace) -> None:
    """Print the results as a Markdown table, beside the trivial baselines."""
    cells = [read_json(path) for path in given.done]
    scores = cells[0]["scores"]
    print(f"\n{scores['n']} test items a language; {scores['signature']}\n")
    print("| | language | ROUGE-L (95 %) | right language | copied | length ratio | trained "
          "| minutes |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    verdicts = []
    for lang in dict.fromkeys(each["lang"] for each in cells):
        own = [each for each in cells if each["lang"] == lang]
        print("\n".join(row(each) for each in own))
        scores = own[0]["scores"]
        floors = scores.get("floors", {})
        for key, name in FLOORS.items():
            if key in floors:
                print(f"| {name} | {lang} | {interval(floors[key]['rougeL'])} | | | | | |")
        right, copied = scores["reference_right_language"], scores["reference_copied"]
        print(f"| the references | {lang} | | {percent(right)} | {percent(copied)} | | | |")
        verdicts += verdict(lang, own, floors["lead1"]["rougeL"])
    print("\n" + "\n".join(verdicts))
    if given.note:
        print(f"\n{given.note.strip()}")


def verdict(lang: str, cells: Sequence[Mapping[str, Any]], lead: Mapping[str, float]) -> list[str]:
    """Return a line a system: its place beside the first sentence of the source."""
    found = []
    for each in cells:
        score = each["scores"]["rougeL"]
        place = "above" if score["low"] > lead["high"] else (
            "below" if score["high"] < lead["low"] else "level with")  # fmt: skip
        found.append(f"- {lang}: {each['method']} at {score['f']:.1f} is {place} LEAD-1 at "
                     f"{lead['f']:.1f}.")  # fmt: skip
    return found


def main() -> int:
    known = (choose, same, cell, counts, experiment, representations, summary)
    actions = {action.__name__: action for action in known}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=actions)
    parser.add_argument("out", type=Path, nargs="?")
    for name in ("data", "raw", "backbone", "score", "other", "hypotheses", "usage"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--done", nargs="+", help="done.json of trainings, or result files")
    parser.add_argument("--rates", nargs="*", default=[])
    parser.add_argument("--by", choices=["rouge", "loss"])
    parser.add_argument("--selection", type=json.loads, help="{selection: [language, ...]}")
    parser.add_argument("--facts", type=json.loads, default={})
    parser.add_argument("--commands", nargs="*", default=[])
    parser.add_argument("--note")
    given = parser.parse_args()
    if given.action == "cell":
        given.done = given.done[0]
    try:
        return int(actions[given.action](given) or 0)
    except (ValueError, OSError, KeyError) as error:
        print(f"report.py {given.action}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
