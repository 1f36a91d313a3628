"""One training: goes on where it was killed, and leaves `model.pt` and `done.json` in its folder.

    python training.py --folder F --inputs FILE... [OPTIONS] -- fairseq-train ...

It goes on with what is in the folder only where command and inputs are as it was begun with.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

from command import portable, run

from laft_fairseq.errors import LaftError
from laft_fairseq.files import replacing, write_json

COUNTS = re.compile(r"num\. shared model params: ([\d,]+) \(num\. trained: ([\d,]+)\)")
FINISHED = "done training in"  # fairseq-train's last words


def records(text: str) -> list[tuple[str, dict[str, float]]]:
    """Return (`train_inner` or `valid`, finite numbers) of each JSON line of a training's log."""
    entries = []
    for line in text.splitlines():
        parts = line.split(" | ", 3)
        if len(parts) == 4 and parts[2] in {"train_inner", "valid"}:
            with contextlib.suppress(ValueError):  # a line that a killed training left half written
                entries.append((parts[2], finite(json.loads(parts[3]))))
    return entries


def finite(values: dict[str, Any]) -> dict[str, float]:
    """Return the values that are finite numbers, or text of one."""
    numbers = {}
    for key, value in values.items():
        with contextlib.suppress(TypeError, ValueError):
            if math.isfinite(float(value)):
                numbers[key] = float(value)
    return numbers


def curve(text: str, stage: int) -> list[dict[str, Any]]:
    """Return the learning curve's points; of an update that was done twice the later one counts.

    A point has the loss, and of a validation with `--eval-rouge` the scores of each language.
    """
    points: dict[tuple[int, str], dict[str, Any]] = {}
    for kind, values in records(text):
        split, prefix = ("train", "") if kind == "train_inner" else ("valid", "valid_")
        if {f"{prefix}loss", f"{prefix}num_updates"} <= values.keys():
            point: dict[str, Any] = {"loss": values[f"{prefix}loss"]}
            for measure in ("rougeL", "copied"):
                if scores := by_language(values, measure):
                    point[measure] = scores
            points[int(values[f"{prefix}num_updates"]), split] = point
    return [{"stage": stage, "update": update, "split": split, **point}
            for (update, split), point in sorted(points.items())]  # fmt: skip


def by_language(values: dict[str, float], measure: str) -> dict[str, float]:
    """Return a validation's score of each language, 0 to 100; none where none was computed."""
    prefix = f"valid_{measure}_"
    return {key.removeprefix(prefix): value for key, value in values.items()
            if key.startswith(prefix)}  # fmt: skip


def validation(text: str, keep: str) -> dict[str, float]:
    """Return ROUGE-L by language in the validation of the checkpoint that is kept."""
    scores = [by_language(values, "rougeL") for kind, values in records(text) if kind == "valid"]
    scores = [each for each in scores if each]
    if keep == "last" or not scores:
        return scores[-1] if scores else {}
    return max(scores, key=lambda each: fmean(each.values()))


def train(given: argparse.Namespace, command: list[str]) -> None:
    """Run the training, or the rest of it."""
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of a run that was killed the training may still go on
        stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in given.inputs]
        key = hashlib.sha256(json.dumps([command, stats]).encode()).hexdigest()
        log, mark = folder / "train.log", folder / "begun-with"
        if not mark.exists() or mark.read_text() != key:
            for path in folder.glob("checkpoint*.pt"):
                path.unlink()
            mark.write_text(key)
        last = folder / "checkpoint_last.pt"
        resumed = last.exists()
        if not resumed:
            log.unlink(missing_ok=True)
        usage: dict[str, Any] = {}
        if not (resumed and log.exists() and FINISHED in log.read_text("utf-8", errors="replace")):
            usage = run(command, log, devices=given.devices,
                        device=given.device, parallel=True, inherited=[lock.fileno()])  # fmt: skip
        kept = last if given.keep == "last" else folder / "checkpoint_best.pt"
        (folder / "model.pt").unlink(missing_ok=True)
        os.link(kept, folder / "model.pt")
        write_json(folder / "done.json", summary(given, command, {} if resumed else usage))
        for path in folder.glob("checkpoint*.pt"):
            path.unlink()


def summary(given: argparse.Namespace, command: list[str], usage: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a training that has ended.

    Of one that was killed on its way neither the whole time nor the most memory is known.
    """
    text = (given.folder / "train.log").read_text("utf-8", errors="replace")
    counted = COUNTS.search(text)
    if counted is None:
        raise LaftError(f"{given.folder}/train.log: does not say how many parameters were trained")
    losses = [values["valid_loss"] for _, values in records(text) if "valid_loss" in values]
    recorded = [json.loads(path.read_text()) for path in given.inputs if path.suffix == ".json"]
    stage1 = [each for each in recorded if "curve" in each]
    return {
        "command": portable(command, Path.cwd(), given.root),
        "rate": command[command.index("--lr") + 1],
        "updates": int(command[command.index("--max-update") + 1]),
        "langs": command[command.index("--train-langs") + 1].split(","),
        "seconds": usage.get("seconds"), "peak_mib": usage.get("peak_mib"),
        "threads": int(os.environ.get("OMP_NUM_THREADS", 1)),
        "trained": {"parameters": int(counted[2].replace(",", "")),
                    "of": int(counted[1].replace(",", ""))},
        "curve": curve(text, 1 if "laft_denoising" in command else 2),
        "validation": validation(text, given.keep),
        "valid_loss": losses[-1] if losses else None,
        "stage1": stage1[0] if stage1 else None,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--inputs", type=Path, nargs="*", default=[],
        help="what it depends on, with the record of the stage 1 that it starts from")  # fmt: skip
    parser.add_argument("--rate", help="FILE:KEY, the choice that takes RATE's place")
    parser.add_argument("--grid", help="folder of the training at RATE that is to be taken")
    parser.add_argument("--keep", default="last", choices=["last", "best"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--root", default="/", help="folder that recorded commands leave out")
    parser.add_argument("command", nargs="*")
    given = parser.parse_args()
    rate = ""
    try:
        if given.rate:
            path, key = given.rate.rsplit(":", 1)
            rate = str(json.loads(Path(path).read_text())[key])
        if given.grid:
            given.folder.mkdir(parents=True, exist_ok=True)
            for name in ("model.pt", "done.json"):
                with replacing(given.folder / name) as partial:
                    shutil.copyfile(Path(given.grid.replace("RATE", rate)) / name, partial)
        else:
            train(given, [rate if word == "RATE" else word for word in given.command])
    except LaftError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
