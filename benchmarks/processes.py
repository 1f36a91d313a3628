#!/usr/bin/env python
"""Tokens a second of training in one process and in two, of one thread each.

    python benchmarks/processes.py
    python benchmarks/processes.py --stage denoising --method mbart_full --repeats 7

Both do the same updates: one process adds up the gradients of two batches, two take one each.
The runs alternate; the result is the ratio of the medians, with every run beside it, as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.contenders import Contender, Place, ours  # noqa: E402
from benchmarks.data import prepare  # noqa: E402
from benchmarks.measure import Run, run  # noqa: E402
from benchmarks.shapes import SHAPES  # noqa: E402

BATCHES = 2  # of an update
STAGES = ("denoising", "generation")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mini")
    parser.add_argument("--stage", choices=STAGES, default="generation")
    parser.add_argument("--method", default="laft")
    parser.add_argument("--autocast", choices=("none", "bf16", "auto"), default="none")
    parser.add_argument("--ddp-backend", choices=("pytorch_ddp", "legacy_ddp"))
    parser.add_argument("--updates", type=int, default=12, help="a run; the first two warm up")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each, in turn")
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "out" / "processes")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/processes-SHAPE.json")
    return parser.parse_args()


def contender(place: Place, args: argparse.Namespace, processes: int) -> Contender:
    """The command of a run: plain, or launched by torchrun."""
    more = ["--autocast", args.autocast, "--update-freq", str(BATCHES // processes)]
    if args.ddp_backend:
        more += ["--ddp-backend", args.ddp_backend]
    command = ours(place, args.stage, args.method, *more)
    if processes > 1:
        launcher = (sys.executable, "-m", "torch.distributed.run")
        command = (*launcher, "--standalone", f"--nproc_per_node={processes}", "-m", *command[2:])
    return Contender(f"processes-{processes}", command)


def tokens(args: argparse.Namespace) -> int:
    """Target tokens of an update: every text of the made-up data is of one length."""
    shape = SHAPES[args.shape]
    length = shape.target if args.stage == "generation" else 128
    return BATCHES * shape.batch * length


def row(made: Contender, runs: list[Run], update: int) -> dict[str, Any]:
    """Tokens a second of the median run and of each."""
    each = [update / found.step for found in runs]
    return {
        "tokens_per_second": statistics.median(each),
        "runs": each,
        "command": shlex.join(made.command)
        .replace(sys.executable, "python")
        .replace(f"{ROOT}/", ""),
    }  # fmt: skip


def main() -> None:
    """Prepare, run, write."""
    args = parse()
    shape = SHAPES[args.shape]
    place = Place(args.work / args.shape, shape, args.updates)
    prepare(place.folder, shape, BATCHES * args.updates * shape.batch)
    made = {processes: contender(place, args, processes) for processes in (1, 2)}
    runs: dict[int, list[Run]] = {1: [], 2: []}
    for repeat in range(args.repeats):
        for processes, one in made.items():
            found = run(one, 1, args.work / "logs" / f"{one.name}.{repeat}.log")
            runs[processes].append(found)
            print(f"{one.name}: {tokens(args) / found.step:.0f} tokens a second", flush=True)
    rows = {processes: row(made[processes], runs[processes], tokens(args)) for processes in made}
    result = {
        "name": "processes", "shape": args.shape, "stage": args.stage, "method": args.method,
        "autocast": args.autocast, "threads": 1, "cores": len(os.sched_getaffinity(0)),
        "repeats": args.repeats, "updates": args.updates, "tokens_an_update": tokens(args),
        "date": date.today().isoformat(), "machine": platform.machine(),
        "command": shlex.join(["python", *sys.argv]),
        "ratio": rows[2]["tokens_per_second"] / rows[1]["tokens_per_second"],
        "processes": rows,
    }  # fmt: skip
    out = args.out or ROOT / "benchmarks" / "results" / f"processes-{args.shape}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"two processes: {result['ratio']:.2f} times the tokens a second of one; {out}")


if __name__ == "__main__":
    main()
