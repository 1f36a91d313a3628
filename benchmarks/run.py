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
    parser.add_argument("name", choices=sorted(COMPARISONS))
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mini")
    parser.add_argument("--batch", type=int, help="sentences a batch, instead of the shape's")
    parser.add_argument("--updates", type=int, default=5, help="a run; the first two warm up")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each system, in turn")
    parser.add_argument("--threads", type=int, default=measure.CORES)
    parser.add_argument("--only", default="", help="regular expression of systems to run")
    parser.add_argument("--list", action="store_true", help="name the systems, run nothing")
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "out",
                        help="folder of data and weights, made once and kept")  # fmt: skip
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks",
                        help="folder of results/ and RESULTS.md")  # fmt: skip
    parser.add_argument("--cuda", action="store_true", help="on the GPU")
    return parser.parse_args()


def attempt(system: System, threads: int, log: Path) -> Run | str:
    """Returns a run, or the line that says why there is none."""
    try:
        measured = measure.run(system, threads, log)
    except Failed as error:
        print(f"{system.name}: failed, see {log}\n{error}", file=sys.stderr, flush=True)
        return (str(error).strip().splitlines() or ["no output"])[-1][:200]
    print(f"{system.name}: {measured.step:.3f} s, {measured.peak_mb:.0f} MB", flush=True)
    return measured


def summary(system: System, runs: Sequence[Run]) -> dict[str, Any]:
    """Returns the medians over a system's runs, with the lowest and highest time."""
    steps = [each.step for each in runs]
    return {
        "step_s": statistics.median(steps),
        "step_low_s": min(steps),
        "step_high_s": max(steps),
        "cpu_s": statistics.median(each.cpu_step for each in runs),
        "peak_mb": statistics.median(each.peak_mb for each in runs),
        "runs": len(runs),
        "gflop": system.gflop,
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


def main() -> int:
    """Prepare, run and write; returns 1 where a system failed."""
    args = parse()
    shape = SHAPES[args.shape]
    batch = args.batch or shape.batch
    setting = Setting(args.work, args.shape, batch, args.updates, args.cuda)
    systems = COMPARISONS[args.name].systems(setting)
    systems = [system for system in systems if re.search(args.only, system.name)]
    if args.list:
        print("\n".join(system.name for system in systems))
        return 0
    from benchmarks import data  # imports torch and fairseq, which --help does not need

    data.prepare(args.work.absolute() / args.shape, args.shape, batch)
    result: dict[str, Any] = {
        "name": args.name, "shape": args.shape, "batch": batch, "source": shape.source,
        "target": shape.target, "threads": args.threads, "repeats": args.repeats,
        "updates": args.updates, "date": date.today().isoformat(),
        "machine": measure.machine(args.cuda), "versions": measure.versions(),
        "command": shlex.join(["python", *sys.argv]), "systems": {}, "failed": {},
    }  # fmt: skip
    runs: dict[str, list[Run]] = {system.name: [] for system in systems}
    file = f"{args.name}-{args.shape}{'-cuda' if args.cuda else ''}.json"
    for repeat in range(args.repeats):
        for system in systems:
            if system.name in result["failed"]:
                continue
            word = re.sub(r"\W+", "-", system.name)
            log = args.work / "logs" / args.name / f"{word}.{repeat}.log"
            measured = attempt(system, args.threads, log)
            if isinstance(measured, str):
                result["failed"][system.name] = measured
                continue
            runs[system.name].append(measured)
            result["systems"] = {s.name: summary(s, runs[s.name]) for s in systems if runs[s.name]}
            outputs = {name: runs[name][0].output for name in result["systems"]}
            for name, share in same_outputs(outputs).items():
                result["systems"][name]["same"] = share
            write(args.results, file, result)
    if result["systems"]:
        write(args.results, file, result)  # a failure after the last success is in it too
        print(report.section(result))
    return int(bool(result["failed"]))


if __name__ == "__main__":
    sys.exit(main())
