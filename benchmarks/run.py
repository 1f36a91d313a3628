#!/usr/bin/env python
"""Time systems in turn, several times, each in a process of its own, and tabulate them.

    python benchmarks/run.py stage2 --shape large
    python benchmarks/run.py stage2 --shape mini --repeats 5 --only 'laft|fairseq'
    python benchmarks/run.py decode --list
    python benchmarks/run.py all --cuda --shape base --batch 256 --repeats 1 --limit 360

`all` is stage1, stage2 and decode, one after the other. On a GPU each system runs with the largest
of --batch, its half, its quarter and so on that fits into memory.
Results are written after every run, to results/NAME-SHAPE.json and RESULTS.md in the folder
--results. A system that fails is named with its last line, and the others go on; the status is
then 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
import shlex
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import measure, report  # noqa: E402
from benchmarks.comparisons import COMPARISONS, Setting  # noqa: E402
from benchmarks.measure import Failed, Run, System  # noqa: E402
from benchmarks.shapes import MONO, SHAPES  # noqa: E402

ALL = ("stage1", "stage2", "decode")
HYPOTHESES = re.compile(r"^hypotheses (\[.*\])$", re.MULTILINE)


def parse() -> argparse.Namespace:
    """Returns the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, folder = parser.add_argument, ROOT / "benchmarks"
    add("name", choices=[*sorted(COMPARISONS), "all"])
    add("--shape", choices=sorted(SHAPES), default="mini")
    add("--batch", type=int, help="sentences a batch, instead of the shape's")
    add("--updates", type=int, default=5, help="a run; the first two warm up")
    add("--repeats", type=int, default=3, help="runs of each system, in turn")
    add("--threads", type=int, default=measure.CORES)
    add("--limit", type=float, default=math.inf, metavar="SECONDS", help="begin no run after this")
    add("--only", default="", help="regular expression of systems to run")
    add("--real-lengths", action="store_true", help="of the shipped English texts, in batches of "
        "similar lengths, instead of one length")  # fmt: skip
    add("--busy", action="store_true", help="the machine does other work: compare CPU seconds")
    add("--list", action="store_true", help="name the systems, run nothing")
    add("--work", type=Path, default=folder / "out", help="data and weights, made once and kept")
    add("--results", type=Path, default=folder, help="folder of results/ and RESULTS.md")
    add("--cuda", action="store_true", help="on the GPU")
    return parser.parse_args()


def summary(system: System, runs: Sequence[Run]) -> dict[str, Any]:
    """Returns the medians over a system's runs, with the lowest and highest time."""
    steps = [each.step for each in runs]
    return {
        "step_s": statistics.median(steps),
        "step_low_s": min(steps),
        "step_high_s": max(steps),
        "cpu_s": statistics.median(each.cpu_step for each in runs),
        "peak_mb": statistics.median(each.peak_mb for each in runs),
        "growth": statistics.median(each.growth for each in runs),
        "runs": len(runs),
        "command": system.command.replace(f"{ROOT}/", ""),
    }


def same_outputs(outputs: Mapping[str, str]) -> dict[str, float]:
    """Returns the share of each system's hypotheses that equal the first system's.

    Empty where the first system prints none; hypotheses that one side lacks count as different.
    """
    printed = {name: HYPOTHESES.search(output) for name, output in outputs.items()}
    hypotheses = {name: json.loads(line[1]) if line else [] for name, line in printed.items()}
    first = next(iter(hypotheses.values()))
    return {
        name: sum(a == b for a, b in zip(rows, first, strict=False)) / max(len(rows), len(first))
        for name, rows in hypotheses.items()
        if first
    }


def write(folder: Path, name: str, result: dict[str, Any]) -> None:
    """Write the JSON file of a result, then RESULTS.md from all of them."""
    (folder / "results").mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2) + "\n"
    (folder / "results" / name).write_text(text, encoding="utf-8")
    report.write(folder)


def chosen(name: str, setting: Setting, only: str) -> dict[str, System]:
    """Returns the systems of a comparison whose names match, by name."""
    systems = COMPARISONS[name].systems(setting)
    return {system.name: system for system in systems if re.search(only, system.name)}


def run_largest(
    name: str, system: str, setting: Setting, threads: int, log: Path
) -> tuple[Run, Setting]:
    """Returns a system's run, on a GPU with a batch halved until it fits, and its setting."""
    try:
        return measure.run(chosen(name, setting, "")[system], threads, log), setting
    except Failed as error:
        too_large = measure.OUT_OF_MEMORY in str(error).lower() and setting.batch > 1
        if not (setting.cuda and too_large):
            raise
    half = dataclasses.replace(setting, batch=setting.batch // 2)
    return run_largest(name, system, half, threads, log)


def batch_size(setting: Setting, name: str) -> dict[str, int]:
    """Returns texts and tokens of each batch, where all batches of a comparison have as many."""
    if setting.real_lengths or name not in ALL:
        return {}
    shape = setting.shape
    tokens = 2 * MONO if name == "stage1" else shape.source + shape.target
    return {"batch": setting.batch, "tokens": setting.batch * tokens}


def measure_systems(
    args: argparse.Namespace, setting: Setting, result: dict[str, Any], deadline: float
) -> None:
    """Run the systems in turn; record each run, or why there is none, and write the results."""
    comparison = result["name"]
    systems = chosen(comparison, setting, args.only)
    runs: dict[str, list[Run]] = {name: [] for name in systems}
    settings = dict.fromkeys(runs, setting)
    kind = f"{'-real' if args.real_lengths else ''}{'-cuda' if args.cuda else ''}"
    file = f"{comparison}-{args.shape}{kind}.json"
    for repeat in range(args.repeats):
        for name, system in systems.items():
            if name in result["failed"]:
                continue
            if time.monotonic() > deadline:
                print(f"{name}: not run, as --limit {args.limit:g} is over", flush=True)
                continue
            if system.needs and find_spec(system.needs) is None:
                print(f"{name}: not run, as {system.needs} is not installed", flush=True)
                continue
            word = re.sub(r"\W+", "-", name)
            log = args.work / "logs" / comparison / f"{word}.{repeat}.log"
            try:
                last, settings[name] = run_largest(
                    comparison, name, settings[name], args.threads, log
                )
            except Failed as error:
                print(f"{name}: failed, see {log}\n{error}", file=sys.stderr, flush=True)
                result["failed"][name] = (str(error).splitlines() or ["no output"])[-1][:200]
            else:
                runs[name].append(last)
                print(f"{name}: {last.step:.3f} s, {last.peak_mb:.0f} MB", flush=True)
            result["systems"] = {
                name: summary(systems[name], done) | batch_size(settings[name], comparison)
                for name, done in runs.items() if done
            }  # fmt: skip
            if result["systems"]:
                outputs = {name: runs[name][0].output for name in result["systems"]}
                for name, share in same_outputs(outputs).items():
                    result["systems"][name]["same"] = share
                write(args.results, file, result)


def main() -> int:
    """Prepare, run and write; returns 1 where a system failed."""
    args, start = parse(), time.monotonic()
    shape = SHAPES[args.shape]
    batch = args.batch or shape.batch
    setting = Setting(args.work, args.shape, batch, args.updates, args.cuda, args.real_lengths)
    names = ALL if args.name == "all" else (args.name,)
    if args.list:
        print(*(system for name in names for system in chosen(name, setting, args.only)), sep="\n")
        return 0
    from benchmarks import data  # imports torch and fairseq, which --help does not need

    data.prepare(setting)
    has_failed = False
    for name in names:
        result: dict[str, Any] = {
            "name": name, "shape": args.shape, "batch": batch, "max_tokens": setting.max_tokens,
            "source": shape.source, "target": shape.target, "real_lengths": args.real_lengths,
            "threads": args.threads, "busy": args.busy, "repeats": args.repeats,
            "updates": args.updates, "date": date.today().isoformat(),
            "machine": measure.machine(args.cuda), "versions": measure.versions(),
            "command": shlex.join(["python", *sys.argv]), "systems": {}, "failed": {},
        }  # fmt: skip
        measure_systems(args, setting, result, start + args.limit)
        if result["systems"]:
            print(report.section(result), flush=True)
        has_failed |= bool(result["failed"])
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
