"""The result files that `laft table` reads, from what the steps left."""

from __future__ import annotations

import re
import shlex
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
    words = shlex.split(command)
    return words[words.index(name) + 1]


def _stage1_of(done: dict[str, Any]) -> str | None:
    """The training that stage 2 started from; earlier versions left it to its command."""
    if "stage1" in done:
        return str(done["stage1"]) if done["stage1"] else None
    option = "--finetune-from-model"
    if option not in done["command"]:
        return None
    return "/".join(Path(_option(done["command"], option)).parts[-4:-1])


def _training_pairs(out: Path, name: str) -> dict[str, Any]:
    """Which of the target's pairs a data set has, where it has but some of them."""
    if not name.startswith(("oracle.", "few-shot-")):
        return {}
    path = out / "data" / f"{name}.json"
    told = read_json(path).get("training_pairs")
    if told is None:
        raise ValueError(f"{path}: of an earlier version; remove it, {out / 'data-bin' / name} and "
                         "what was trained on it")  # fmt: skip
    return {"training_pairs": told}


def _cost(own: Path, trainings: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """Seconds of stage 1, stage 2 and generating; none of a training that was cut short."""
    # Where an earlier version had lost the memory, it had lost the end of the seconds too.
    cut = [done is not None and bool(done.get("interrupted") or not done["peak_mib"])
           for done in trainings]  # fmt: skip
    stage1, stage2 = (done["seconds"] if done and not lost else None
                      for done, lost in zip(trainings, cut, strict=True))  # fmt: skip
    return {
        "stage1_seconds": stage1,
        "stage2_seconds": stage2,
        "generate_seconds": read_json(own / "generate.json")["seconds"],
        **({"interrupted": True} if any(cut) else {}),
    }


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
    stage1 = _stage1_of(stage2)
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
            **_cost(own, (before, stage2)),
            "stage1_updates": budget.stage1_updates if stage1 else 0,
            "stage2_updates": int(_option(stage2["command"], "--max-update")),
            "peak_mib": stage2["peak_mib"], "threads": stage2["threads"],
        },
        "commands": [*([before["command"]] if before else []), stage2["command"]],
        "curve": curve,
        **_training_pairs(out, args["data"]),
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
