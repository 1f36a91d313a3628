#!/usr/bin/env python
"""Run contenders in turn, several times, and write their times and memory beside each other.

    python benchmarks/run.py stage2 --shape large
    python benchmarks/run.py stage2 --shape mini --repeats 5 --only 'laft|fairseq'
    python benchmarks/run.py decode --list

The first contender is what the others are divided by. Results go to benchmarks/results/ as JSON
after every single run, and RESULTS.md is written anew from them; a contender that fails, or that
needs a package which is not installed, is named with the reason and the others go on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shlex
import shutil
import statistics
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import hypotheses, machine, report, suites  # noqa: E402
from benchmarks.contenders import Contender, Place  # noqa: E402
from benchmarks.measure import Failed, Run, run  # noqa: E402
from benchmarks.shapes import SHAPES  # noqa: E402


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(suites.SUITES))
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mini")
    parser.add_argument("--batch", type=int, help="texts a batch, instead of the shape's")
    parser.add_argument("--updates", type=int, default=5, help="a run; the first two warm up")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each contender, in turn")
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--only", default="", help="regular expression of contenders to run")
    parser.add_argument("--list", action="store_true", help="name the contenders, run nothing")
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "out")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks",
                        help="folder of results/ and RESULTS.md")  # fmt: skip
    parser.add_argument("--cuda", action="store_true", help="on the accelerator")
    parser.add_argument("--note", default="", help="what a reader has to know of this run")
    return parser.parse_args()


def chosen(suite: suites.Suite, place: Place, only: str) -> list[Contender]:
    """The suite's contenders that are asked for and can run here."""
    found = []
    for contender in suite.contenders(place):
        if not re.search(only, contender.name):
            continue
        missing = [name for name in contender.needs if importlib.util.find_spec(name) is None]
        if missing:
            print(f"{contender.name}: skipped: pip install {' '.join(missing)}", flush=True)
        else:
            found.append(contender)
    return found


def attempt(contender: Contender, threads: int, log: Path) -> Run | str:
    """A run, or the line that says why there is none."""
    if contender.writes:
        shutil.rmtree(Path(contender.writes).parent, ignore_errors=True)
    try:
        found = run(contender, threads, log)
    except Failed as error:
        print(f"{contender.name}: failed, see {log}\n{error}", file=sys.stderr, flush=True)
        return (str(error).strip().splitlines() or ["no output"])[-1][:200]
    print(f"{contender.name}: {found.step:.3f} s, {found.peak_mb:.0f} MB", flush=True)
    return found


def summary(contender: Contender, runs: list[Run]) -> dict[str, Any]:
    """Median over the repeats, with the lowest and highest."""
    steps = [found.step for found in runs]
    row = {
        "step_s": statistics.median(steps),
        "step_low_s": min(steps),
        "step_high_s": max(steps),
        "cpu_s": statistics.median(found.cpu_step for found in runs),
        "peak_mb": statistics.median(found.peak_mb for found in runs),
        "runs": len(runs),
        "gflop": contender.gflop,
        "command": shlex.join(contender.command)
        .replace(f"{ROOT}/", "")
        .replace(sys.executable, "python"),
    }
    if contender.writes and Path(contender.writes).exists():
        row["written_mb"] = Path(contender.writes).stat().st_size / 1e6
    return row


def main() -> int:
    """Prepare, run, write; 1 where a contender failed."""
    args = parse()
    shape = SHAPES[args.shape]
    if args.batch:
        shape = replace(shape, batch=args.batch)
    suite = suites.SUITES[args.name]
    place = Place(args.work.absolute() / args.shape, shape, args.updates, args.cuda)
    contenders = chosen(suite, place, args.only)
    if args.list:
        print("\n".join(contender.name for contender in contenders))
        return 0
    suite.prepare(place)
    result: dict[str, Any] = {
        "name": args.name, "shape": args.shape, "batch": shape.batch, "source": shape.source,
        "target": shape.target, "threads": args.threads, "repeats": args.repeats,
        "updates": args.updates, "date": date.today().isoformat(),
        "machine": machine.name(args.cuda), "versions": machine.versions(), "note": args.note,
        "about": suite.about, "command": shlex.join(["python", *sys.argv]),
        "contenders": {}, "failed": {},
    }  # fmt: skip
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    device = "-cuda" if args.cuda else ""
    for repeat in range(args.repeats):
        for contender in contenders:
            if contender.name in result["failed"]:
                continue
            log = args.work / "logs" / args.name / f"{_word(contender.name)}.{repeat}.log"
            found = attempt(contender, args.threads, log)
            if isinstance(found, str):
                result["failed"][contender.name] = found
            else:
                runs[contender.name].append(found)
            result["contenders"] = {c.name: summary(c, runs[c.name])
                                    for c in contenders if runs[c.name]}  # fmt: skip
            hypotheses.compare(result["contenders"], runs)
            write(args.results, f"{args.name}-{args.shape}{device}.json", result)
    print(report.table(result))
    return int(bool(result["failed"]))


def _word(text: str) -> str:
    return re.sub(r"\W+", "-", text)


def write(folder: Path, name: str, result: dict[str, Any]) -> None:
    """The JSON file, then RESULTS.md from all of them."""
    if not result["contenders"]:
        return
    (folder / "results").mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2) + "\n"
    (folder / "results" / name).write_text(text, encoding="utf-8")
    report.write(folder)


if __name__ == "__main__":
    sys.exit(main())
