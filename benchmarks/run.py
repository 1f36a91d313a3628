#!/usr/bin/env python
"""Time systems in turn, several times, each in a process of its own, and tabulate them.

    python benchmarks/run.py stage2 --shape large
    python benchmarks/run.py stage2 --shape mini --repeats 5 --only 'laft|fairseq'
    python benchmarks/run.py decode --list

Results are written after every run, to results/NAME-SHAPE.json and RESULTS.md in the folder
--results. A system that fails is named with its last line, and the others go on; the status is
then 1.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import measure, report  # noqa: E402
from benchmarks.comparisons import COMPARISONS, Setting  # noqa: E402
from benchmarks.measure import Failed, Run, System  # noqa: E402
from benchmarks.shapes import SHAPES  # noqa: E402

HYPOTHESES = re.compile(r"^hypotheses (\[.*\])$", re.MULTILINE)


def parse() -> argparse.Namespace:
    """Returns the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, folder = parser.add_argument, ROOT / "benchmarks"
    add("name", choices=sorted(COMPARISONS))
    add("--shape", choices=sorted(SHAPES), default="mini")
    add("--batch", type=int, help="sentences a batch, instead of the shape's")
    add("--updates", type=int, default=5, help="a run; the first two warm up")
    add("--repeats", type=int, default=3, help="runs of each system, in turn")
    add("--threads", type=int, default=measure.CORES)
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


def measure_systems(
    args: argparse.Namespace, systems: list[System], result: dict[str, Any]
) -> None:
    """Run the systems in turn; record each run, or why there is none, and write the results."""
    runs: dict[str, list[Run]] = {system.name: [] for system in systems}
    kind = f"{'-real' if args.real_lengths else ''}{'-cuda' if args.cuda else ''}"
    file = f"{args.name}-{args.shape}{kind}.json"
    for repeat in range(args.repeats):
        for system in systems:
            name = system.name
            if name in result["failed"]:
                continue
            word = re.sub(r"\W+", "-", name)
            log = args.work / "logs" / args.name / f"{word}.{repeat}.log"
            try:
                runs[name].append(measure.run(system, args.threads, log))
            except Failed as error:
                print(f"{name}: failed, see {log}\n{error}", file=sys.stderr, flush=True)
                result["failed"][name] = (str(error).splitlines() or ["no output"])[-1][:200]
            else:
                last = runs[name][-1]
                print(f"{name}: {last.step:.3f} s, {last.peak_mb:.0f} MB", flush=True)
            result["systems"] = {s.name: summary(s, runs[s.name]) for s in systems if runs[s.name]}
            if result["systems"]:
                outputs = {name: runs[name][0].output for name in result["systems"]}
                for name, share in same_outputs(outputs).items():
                    result["systems"][name]["same"] = share
                write(args.results, file, result)


def main() -> int:
    """Prepare, run and write; returns 1 where a system failed."""
    args = parse()
    shape = SHAPES[args.shape]
    batch = args.batch or shape.batch
    setting = Setting(args.work, args.shape, batch, args.updates, args.cuda, args.real_lengths)
    systems = COMPARISONS[args.name].systems(setting)
    systems = [system for system in systems if re.search(args.only, system.name)]
    if args.list:
        print("\n".join(system.name for system in systems))
        return 0
    from benchmarks import data  # imports torch and fairseq, which --help does not need

    data.prepare(setting)
    result: dict[str, Any] = {
        "name": args.name, "shape": args.shape, "batch": batch, "source": shape.source,
        "target": shape.target, "real_lengths": args.real_lengths, "threads": args.threads,
        "busy": args.busy, "repeats": args.repeats,
        "updates": args.updates, "date": date.today().isoformat(),
        "machine": measure.machine(args.cuda), "versions": measure.versions(),
        "command": shlex.join(["python", *sys.argv]), "systems": {}, "failed": {},
    }  # fmt: skip
    measure_systems(args, systems, result)
    if result["systems"]:
        print(report.section(result))
    return int(bool(result["failed"]))


if __name__ == "__main__":
    sys.exit(main())
