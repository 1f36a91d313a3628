"""What the rules write beside the public commands' own files: choices, result cells, the summary.

python report.py choose|cell|experiment|representations|summary ...
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from command import visible_gpus
from tabulate import tabulate

from laft_fairseq.errors import LaftError
from laft_fairseq.files import lines, write_json
from laft_fairseq.reporting.names import TRIVIAL_BASELINES

COLUMNS = ["", "language", "ROUGE-L (95 %)", "minus LEAD-1 (95 %)", "right language", "copied",
           "length ratio", "trained", "minutes"]  # fmt: skip


def read_json(path: Path | str) -> Any:
    """Return what a JSON file holds."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def best(scores: Mapping[str, Mapping[str, float]], keys: Sequence[str]) -> str:
    """Return the rate whose mean score over the keys is highest, of equals the first.

    Raises LaftError where one has no score: a choice among the others would not be fair.
    """
    for rate, of_rate in scores.items():
        for key in keys:
            if key not in of_rate:
                raise LaftError(f"no validation score of {key} at rate {rate}")
    return max(scores, key=lambda rate: fmean(scores[rate][key] for key in keys))


def choose(given: argparse.Namespace) -> None:
    """Write which rate of a grid each selection takes: by ROUGE-L, in stage 1 by the loss."""
    scores = {}
    for rate, path in zip(given.rates, given.done, strict=True):
        done = read_json(path)
        loss = {} if done["valid_loss"] is None else {"minus_loss": -done["valid_loss"]}
        scores[rate] = done["validation"] or loss
    chosen = {name: given.rates[0] if len(scores) == 1 else best(scores, keys)
              for name, keys in given.selection.items()}  # fmt: skip
    write_json(given.out, {**chosen, "validation": scores})


def cell(given: argparse.Namespace) -> None:
    """Write one `laft-result/1`: outputs of one system, seed and language, scored."""
    done, scores = read_json(given.done[0]), read_json(given.score[0])
    stage1, usage = done["stage1"], read_json(given.usage)
    items = [round(float(item), 4) for item in scores.pop("items")["rougeL"]]
    rates = [stage1["rate"] if stage1 else None, done["rate"]]
    write_json(given.out, {
        "format": "laft-result/1", **given.facts,
        "learning_rate": {f"stage{n}": rate and float(rate) for n, rate in enumerate(rates, 1)},
        "grid": [float(rate) for rate in given.rates] or [float(done["rate"])],
        "trained": done["trained"],
        "cost": {
            "stage1_seconds": stage1 and stage1["seconds"], "stage2_seconds": done["seconds"],
            "generate_seconds": usage["seconds"],
            "stage1_updates": stage1["updates"] if stage1 else 0, "stage2_updates": done["updates"],
            "peak_mib": done["peak_mib"], "threads": done["threads"],
        },
        "commands": [*([stage1["command"]] if stage1 else []), done["command"], *given.commands],
        "curve": (stage1["curve"] if stage1 else []) + done["curve"],
        **read_json(given.data),
        "scores": scores,
        **({"other_scores": read_json(given.score[1])} if given.score[1:] else {}),
        "items": {"rougeL": items},
        "outputs": list(lines(given.hypotheses))[:10],
    })  # fmt: skip


def experiment(given: argparse.Namespace) -> None:
    """Write `laft-experiment/1`: what is compared with what, and on which machine and backbone."""
    from laft_fairseq.checkpoints.backbone import read  # loads torch

    facts, card = given.facts, given.backbone / "card.json"
    known = read_json(card) if card.exists() else {}
    backbone = read(str(given.backbone / "model.pt"))
    matrices = {tensor.data_ptr(): tensor.numel() for tensor in backbone.state.values()}
    samples: dict[str, dict[str, list[str]]] = {}
    items = {}
    for lang in facts["targets"]:
        sides = [list(lines(given.raw / f"{lang}.test.{side}")) for side in ("src", "tgt")]
        samples[lang] = {"inputs": sides[0][:10], "references": sides[1][:10]}
        items[lang] = len(sides[0])
    device = "GPU" if visible_gpus() else "CPU"
    write_json(given.out, {
        "format": "laft-experiment/1", **facts, "budget": facts["budget"] | {"test_items": items},
        "backbone": {
            "name": f"{given.backbone.resolve().parent.name}/{given.backbone.name}",
            "parameters": sum(matrices.values()),  # a tied one counts once
            "tokens": known.get("tokens"), "fingerprint": backbone.fingerprint,
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {device}",
        "samples": {facts["task"]: samples},
    })  # fmt: skip


def representations(given: argparse.Namespace) -> None:
    """Write `laft-representations/1` from the report of `laft tsne`."""
    write_json(given.out, {"format": "laft-representations/1", **given.facts,
                           "measures": read_json(given.data)})  # fmt: skip


def percent(value: float | None) -> str:
    """Return a share, or a dash where it cannot be said."""
    return "-" if value is None else f"{value:.1f} %"


def interval(score: Mapping[str, float], sign: str = "") -> str:
    """Return ``21.3 (19.8 to 22.9)``; with the sign "+" of a difference."""
    return f"{score['f']:{sign}.1f} ({score['low']:{sign}.1f} to {score['high']:{sign}.1f})"


def row(result: Mapping[str, Any]) -> list[str]:
    """Return a result's line of the summary."""
    scores, cost, trained = result["scores"], result["cost"], result["trained"]
    name = f"**{result['method']}**"
    name += f" {result['variant']}" * (result["variant"] != "main")
    name += f", {result['setting']}" * (result["setting"] != "zero-shot")
    name += f", rate by {result['selection']}" * (result["selection"] == "target")
    name += f", seed {result['seed']}" * (result["seed"] > 1)
    rouge = interval(scores["rougeL"])
    if other := result.get("other_scores"):
        rouge += f"; ROUGE-1 {scores['rouge1']['f']:.1f}, ROUGE-2 {scores['rouge2']['f']:.1f}; "
        protocol = other["signature"].partition("protocol:")[2].partition("|")[0]
        rouge += f"by {protocol} {other['rougeL']['f']:.1f}"
    share = f"{trained['parameters'] / 1e6:.2f}M of {trained['of'] / 1e6:.2f}M"
    share += f" ({100 * trained['parameters'] / trained['of']:.1f} %)"
    seconds = [cost[f"stage{n}_seconds"] for n in (1, 2) if cost[f"stage{n}_updates"]]
    minutes = "-" if seconds[-1] is None else f"{sum(filter(None, seconds)) / 60:.1f}"
    minutes += " and stage 1" * (seconds[0] is None and len(seconds) == 2)
    right, copied = percent(scores["right_language"]), percent(scores["copied"])
    right += f", undecidable {percent(scores['undecidable'])}" * (scores["undecidable"] > 0)
    length = f"{scores['length_ratio'] or 0:.2f}"
    lead = scores.get("floors", {}).get("lead1", {})
    minus = interval(lead["difference"], "+") if "difference" in lead else ""
    return [name, result["lang"], rouge, minus, right, copied, length, share, minutes]


def summary(given: argparse.Namespace) -> None:
    """Print the results as a Markdown table, beside the trivial baselines."""
    results = [read_json(path) for path in given.done]
    rows = []
    for lang in dict.fromkeys(each["lang"] for each in results):
        rows += [row(each) for each in results if each["lang"] == lang]
        scores = next(each["scores"] for each in results if each["lang"] == lang)
        baselines = scores.get("floors", {})
        rows += [[name, lang, interval(baselines[key]["rougeL"])]
                 for key, name in TRIVIAL_BASELINES.items() if key in baselines]  # fmt: skip
        rows.append(["references", lang, "", "", percent(scores["reference_right_language"]),
                     percent(scores["reference_copied"])])  # fmt: skip
    scores = results[0]["scores"]
    print(f"{scores['n']} test items a language; {scores['signature']}\n")
    print(tabulate(rows, COLUMNS, tablefmt="github", disable_numparse=True))
    if given.note:
        print(f"\n{given.note.strip()}")


def main() -> None:
    known = (choose, cell, experiment, representations, summary)
    actions = {action.__name__: action for action in known}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=actions)
    parser.add_argument("out", type=Path, nargs="?")
    for name in ("data", "raw", "backbone", "hypotheses", "usage"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--done", nargs="+", help="done.json of trainings, or result files")
    parser.add_argument("--score", nargs="+", help="of laft score, by each protocol")
    parser.add_argument("--rates", nargs="*", default=[])
    parser.add_argument("--selection", type=json.loads, help="{selection: [language, ...]}")
    parser.add_argument("--facts", type=json.loads, default={})
    parser.add_argument("--commands", nargs="*", default=[])
    parser.add_argument("--note")
    given = parser.parse_args()
    try:
        actions[given.action](given)
    except (LaftError, OSError, KeyError) as error:
        sys.exit(f"report.py {given.action}: {error}")


if __name__ == "__main__":
    main()
