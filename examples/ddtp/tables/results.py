"""The result files that `laft table` reads, from what the steps left."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from examples.ddtp.tables import logs
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.controls import Control
from examples.ddtp.tables.files import read_json, read_lines
from examples.ddtp.tables.steps import Step

COUNTS = re.compile(r"num\. shared model params: ([\d,]+) \(num\. trained: ([\d,]+)\)")


def _integer(text: str) -> int:
    return int(text.replace(",", ""))


def trained(log: str) -> dict[str, int]:
    """Parameters that stage 2 trained, and all of the model, as fairseq-train counted them."""
    found = COUNTS.search(log)
    if found is None:
        raise ValueError("the training's log does not say how many parameters it trained")
    return {"parameters": _integer(found[2]), "of": _integer(found[1])}


def removal(control: Control | None) -> str:
    """What a variant of LAFT removes."""
    options = control.options if control else ()
    return options[options.index("--removal") + 1] if "--removal" in options else "scaled"


def _option(command: str, name: str) -> str:
    words = command.split()
    return words[words.index(name) + 1]


def _stage1_of(command: str) -> str | None:
    """The folder of the training that stage 2 started from, below runs/."""
    found = re.search(r"--finetune-from-model \S*?runs/(stage1/\S+)/checkpoint_last\.pt", command)
    return found[1] if found else None


def scored(folder: Path, raw: Path, lang: str, hypotheses: Sequence[str]) -> dict[str, Any]:
    """Scores, ROUGE-L of each item, the first outputs."""
    from laft_fairseq.scoring.rouge import rouge_items

    references = read_lines(raw / f"{lang}.test.tgt")
    items = rouge_items(hypotheses, references, lang, "unicode", metrics=["rougeL"])["rougeL"]
    return {
        "scores": read_json(folder / "score.json"),
        "items": {"rougeL": [round(float(item), 4) for item in items]},
        "outputs": list(hypotheses[:10]),
    }


def cell(
    out: Path, budget: Budget, step: Step, training: str, raw: Path, hypotheses: Sequence[str]
) -> dict[str, Any]:
    """One `laft-result/1`, with the commands of the trainings."""
    args = step.args
    folder = out / "runs" / training
    log = (folder / "train.log").read_text(encoding="utf-8", errors="replace")
    stage2 = read_json(folder / "done.json")
    stage1 = _stage1_of(stage2["command"])
    before = read_json(out / "runs" / stage1 / "done.json") if stage1 else None
    curve = logs.curve(log, 2)
    if stage1:
        earlier = out / "runs" / stage1 / "train.log"
        curve = logs.curve(earlier.read_text(encoding="utf-8", errors="replace"), 1) + curve
    own = out / "runs" / step.id
    fixed = args["selection"] == "fixed"
    rate = _option(stage2["command"], "--lr")
    return {
        "format": "laft-result/1",
        **{key: args[key] for key in ("task", "setting", "method", "variant", "lang", "seed")},
        "selection": args["selection"],
        "learning_rate": {"stage1": float(_option(before["command"], "--lr")) if before else None,
                          "stage2": float(rate)},
        "grid": [float(rate)] if fixed else [float(each) for each in budget.grid],
        "trained": trained(log),
        "cost": {
            "stage1_seconds": before["seconds"] if before else None,
            "stage2_seconds": stage2["seconds"],
            "generate_seconds": read_json(own / "generate.json")["seconds"],
            "stage1_updates": budget.stage1_updates if stage1 else 0,
            "stage2_updates": int(_option(stage2["command"], "--max-update")),
            "peak_mib": stage2["peak_mib"], "threads": stage2["threads"],
        },
        "commands": [*([before["command"]] if before else []), stage2["command"]],
        "curve": curve,
        **scored(own, raw, args["lang"], hypotheses),
    }  # fmt: skip


def without_folders(report: dict[str, Any], command: str) -> dict[str, Any]:
    """A report of `laft tsne` without this machine's folders."""
    kept = {key: value for key, value in report.items() if key not in {"checkpoint", "data"}}
    return {**kept, "command": command}


def nearest(cells: Sequence[dict[str, Any]], count: int) -> list[str]:
    """LAFT's nearest rivals: the systems with the best mean ROUGE-L over languages and seeds."""
    scores = defaultdict(list)
    for each in cells:
        scores[f"{each['method']}.{each['variant']}"].append(each["scores"]["rougeL"]["f"])
    rivals = [name for name in scores if name != "laft.main"]
    return sorted(rivals, key=lambda name: -fmean(scores[name]))[:count]
