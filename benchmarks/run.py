#!/usr/bin/env python
"""Run contenders in turn, several times, and write their times and memory beside each other.

    python benchmarks/run.py stage2 --shape large
    python benchmarks/run.py stage2 --shape mini --repeats 5 --only 'laft|fairseq'

The first contender is what the others are divided by. Results go to benchmarks/results/ as JSON,
from which RESULTS.md is written anew.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shlex
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import report, suites  # noqa: E402
from benchmarks.contenders import Contender, Place  # noqa: E402
from benchmarks.measure import Run, run  # noqa: E402
from benchmarks.shapes import SHAPES  # noqa: E402


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(suites.SUITES))
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mini")
    parser.add_argument("--batch", type=int, help="texts a batch, instead of the shape's")
    parser.add_argument("--updates", type=int, default=8, help="a run; the first two warm up")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each contender, in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="regular expression of contenders to run")
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "out")
    parser.add_argument("--cuda", action="store_true", help="on the accelerator")
    parser.add_argument("--note", default="", help="what a reader has to know of this run")
    return parser.parse_args()


def measured(contenders: list[Contender], args: argparse.Namespace, logs: Path) -> dict[str, Any]:
    """All repeats, contender by contender within each repeat."""
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for repeat in range(args.repeats):
        for contender in contenders:
            name = re.sub(r"\W+", "-", contender.name)
            found = run(contender, args.threads, logs / f"{name}.{repeat}.log")
            runs[contender.name].append(found)
            print(f"{contender.name}: {found.step:.3f} s, {found.peak_mb:.0f} MB", flush=True)
    return {contender.name: summary(contender, runs[contender.name]) for contender in contenders}


def summary(contender: Contender, runs: list[Run]) -> dict[str, Any]:
    """Median over the repeats, with the lowest and highest."""
    steps = [found.step for found in runs]
    return {
        "step_s": statistics.median(steps),
        "step_low_s": min(steps),
        "step_high_s": max(steps),
        "peak_mb": statistics.median(found.peak_mb for found in runs),
        "gflop": contender.gflop,
        "command": shlex.join(contender.command).replace(f"{ROOT}/", "").replace(sys.executable,
                                                                                "python"),
    }  # fmt: skip


def main() -> None:
    """Prepare, run, write."""
    args = parse()
    shape = SHAPES[args.shape]
    if args.batch:
        shape = replace(shape, batch=args.batch)
    build: Callable[[Place], list[Contender]] = suites.SUITES[args.name]
    place = Place(args.work / args.shape, shape, args.updates, args.cuda)
    suites.prepare(place)
    contenders = [c for c in build(place) if re.search(args.only, c.name)]
    result = {
        "name": args.name, "shape": args.shape, "batch": shape.batch, "source": shape.source,
        "target": shape.target, "threads": args.threads, "repeats": args.repeats,
        "updates": args.updates, "date": date.today().isoformat(), "machine": machine(),
        "versions": versions(), "note": args.note, "command": shlex.join(["python", *sys.argv]),
        "contenders": measured(contenders, args, args.work / "logs" / args.name),
    }  # fmt: skip
    target = ROOT / "benchmarks" / "results" / f"{args.name}-{args.shape}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    report.write(ROOT / "benchmarks")
    print(report.table(result))


def machine() -> str:
    """The processor, by its own name."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*:\s*(.*)", text)
    bf16 = "with" if "avx512_bf16" in text or "amx_bf16" in text else "without"
    return f"{model.group(1) if model else platform.processor()}, {bf16} bf16 products"


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("torch", "ve-fairseq", "transformers", "ctranslate2"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
