"""`examples/ddtp/tables.sh`: everything that the paper's tables need; `--help` shows how."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from examples.ddtp.tables import amend, carry, data, experiment, logs, process, runner, translation
from examples.ddtp.tables import budget as budgets
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.files import read_json
from examples.ddtp.tables.plan import plan
from examples.ddtp.tables.steps import Resources
from examples.ddtp.tables.work import Work

# What a GPU makes of the estimates for one CPU core: hardly more than the start of the commands.
GPU_START, GPU_SHARE = 15.0, 0.01

PLACES = {
    "out": ("examples/ddtp/out/tables", "folder of all results"),
    "backbone": ("examples/mini/model", "folder of the backbone"),
    "arch": ("laft_mbart_mini", "its architecture"),
    "ddtp": ("examples/ddtp/data", "folder of the pairs"),
    "mono": ("examples/ddtp/data", "folder of the monolingual text"),
    "qg": ("", "folder of question pairs (preprocess/qg.sh); none: no questions"),
    "carry": ("", "folder of a run on another machine whose finished results are taken over"),
    "jobs": ("", "steps side by side (default: one a core, two with a GPU)"),
    "save_updates": ("250", "updates after which a training is saved on its way"),
    "hours": ("", "start nothing that is not expected to end within so many hours"),
}


def parse(arguments: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Flags over environment variables over defaults, by lower-case name."""
    parser = argparse.ArgumentParser(
        prog="examples/ddtp/tables.sh",
        description="Run everything that the paper's tables need; what is done is not run again.",
        epilog="Each option is an environment variable too: JOBS=2 HOURS=6 tables.sh",
    )
    parser.add_argument("--budget", metavar="PRESET", help="tiny, evening, default or gpu")
    for name, (default, text) in PLACES.items():
        parser.add_argument(
            "--" + name.replace("_", "-"), metavar=name.upper(), help=f"{text} [{default}]"
        )
    budgets.add_flags(parser)
    parser.add_argument("--list", action="store_true", help="print the plan and end")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    values = vars(parser.parse_args(arguments))
    names = ["budget", *PLACES, *(f.name for f in fields(budgets.Budget))]
    found = {name: values[name] or environment.get(name.upper(), "") for name in names}
    found |= {name: found[name] or default for name, (default, _) in PLACES.items()}
    found["budget"] = found["budget"] or "default"
    return found | {flag: "1" if values[flag] else "" for flag in ("list", "stop")}


def has_gpu() -> bool:
    """Whether nvidia-smi finds one."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False)
    except OSError:
        return False
    return listed.returncode == 0


def guard(out: Path, place: Place, budget: budgets.Budget) -> None:
    """Refuse to mix two experiments in one folder."""
    path = out / "results" / "experiment.json"
    if not path.exists():
        return
    before = read_json(path)
    may_change = {*budgets.SELECTING, *amend.AMENDABLE}
    difference = budgets.first_difference(before["asked"], budget, may_change)
    if difference is None and before["arch"] != place.arch:
        difference = f"ARCH was {before['arch']}, is now {place.arch}"
    if difference is None:
        mark, _ = experiment.fingerprint(place.backbone)
        if mark != before["backbone"]["fingerprint"]:
            difference = f"{place.backbone} is another backbone"
    if difference:
        raise SystemExit(f"tables: {path}: {difference}; name another OUT")


def take_over(source: Path, work: Work) -> None:
    """Begin with what another machine has finished of the same experiment."""
    if not (source / carry.EXPERIMENT).exists():
        raise SystemExit(f"tables: {source / carry.EXPERIMENT}: missing; CARRY names the folder")
    guard(source, work.place, work.budget)
    guard(work.out, work.place, work.budget)
    both = [folder / carry.EXPERIMENT for folder in (source, work.out)]
    if both[1].exists():
        difference = amend.difference(*(read_json(path)["asked"] for path in both))
        if difference:
            raise SystemExit(f"tables: {both[0]} and {both[1]}: {difference}; name another OUT")
    print(f"tables: {carry.take_over(source, work.out)} files taken over from {source}")
    machine = experiment.machine(work.place)
    carry.name_machines(work.out / carry.EXPERIMENT, machine, read_json(both[0])["machine"])


def prepare(given: dict[str, str]) -> tuple[Work, int]:
    """The run that the options ask for."""
    budget = budgets.make(given["budget"], given)
    backbone = Path(given["backbone"])
    for name in ("model.pt", "dict.txt", "sentence.bpe.model"):
        if not (backbone / name).exists():
            raise SystemExit(f"tables: {backbone / name}: missing; BACKBONE names the folder")
    questions = Path(given["qg"]) if given["qg"] else None
    sources = data.Sources(Path(given["ddtp"]), Path(given["mono"]), questions)
    if sources.pairs("en_XX", "train") is None:
        raise SystemExit(f"tables: {sources.ddtp}: no en_XX.train.tsv.xz; DDTP names the folder")
    have = Resources(
        data.human_targets(sources, budget),
        translation.engines(budget.targets),
        questions is not None,
        (backbone / "card.json").exists(),
    )
    gpu = has_gpu()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jobs = int(given["jobs"] or (2 if gpu else cores or 1))
    place = Place(Path(given["out"]), backbone, given["arch"], not gpu, int(given["save_updates"]))
    return Work(budget, place, sources, have, threads=max(1, (cores or 1) // jobs)), jobs


def table(work: Work) -> bool:
    """`laft table` on what there is; whether it could be written."""
    results = work.out / "results"
    if not (results / "experiment.json").exists():
        return False
    card = work.place.backbone / "card.json"
    log = work.out / "logs" / "table.log"
    log.parent.mkdir(exist_ok=True)
    if card.exists():
        gates = ["python", "examples/ddtp/gates.py", str(results), "--card", str(card)]
        if (work.out / "retrieval.json").exists():
            gates += ["--retrieval", str(work.out / "retrieval.json")]
        if process.run(gates, log, threads=1).code:
            print(f"tables: gates.py failed: {logs.failure(log)}", file=sys.stderr)
    command = ["laft", "table", str(results), "--markdown", str(work.out / "tables.md"),
               "--html", str(work.out / "tables.html")]  # fmt: skip
    usage = process.run(command, log, threads=1)
    if usage.code:
        print(f"tables: laft table ended with {usage.code}: {log}", file=sys.stderr)
        return False
    print(f"tables: {work.out}/tables.md, {work.out}/tables.html")
    return True


def everything(work: Work) -> list[Any]:
    """The plan with all its parts and seeds, whatever was asked for now."""
    whole = replace(work.budget, settings=budgets.SETTINGS, controls=("all",))
    if (work.out / carry.EXPERIMENT).exists():
        asked = read_json(work.out / carry.EXPERIMENT)["asked"]
        whole = replace(whole, **{name: asked[name] for name in budgets.COUNTS})
    return plan(whole, work.have)


def main(arguments: list[str] | None = None) -> int:
    """Plan, run, write the table."""
    given = parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    work, jobs = prepare(given)
    steps = plan(work.budget, work.have)
    if not work.place.cpu:
        steps = [replace(step, estimate=GPU_START + GPU_SHARE * step.estimate) for step in steps]
    if given["list"]:
        for step in steps:
            print(f"{step.estimate:7.0f} s  {step.title}")
        share = runner.shares(steps)
        total = sum(share[step.id] * step.estimate for step in steps)
        print(f"{len(steps)} steps, about {runner.duration(total / jobs)} with {jobs} jobs")
        return 0
    held = runner.lock(work.out)
    if given["carry"]:
        take_over(Path(given["carry"]), work)
    guard(work.out, work.place, work.budget)
    for line in amend.amend(work.out, work.out / carry.EXPERIMENT, work.budget):
        print(f"tables: {line}")
    hours = float(given["hours"]) if given["hours"] else None
    whole = everything(work)
    run = runner.Runner(work, steps, jobs, hours, keep_going=not given["stop"],
                        tidy=lambda: runner.tidy(work.out, whole))  # fmt: skip
    try:
        succeeded = run.run()
    except KeyboardInterrupt:
        print("tables: stopped; the same command goes on", file=sys.stderr)
        os._exit(130)
    written = table(work)
    held.close()
    return 0 if succeeded and written else 1


if __name__ == "__main__":
    sys.exit(main())
