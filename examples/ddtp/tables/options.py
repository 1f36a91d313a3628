"""The options of `examples/ddtp/tables.sh`, and the run that they ask for; nothing is run here."""

from __future__ import annotations

import argparse
import logging
import math
import os
import subprocess
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from examples.ddtp.tables import budget as budgets
from examples.ddtp.tables import sources, translation
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.steps import Resources
from examples.ddtp.tables.work import Work

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
    parser.add_argument(
        "--list", action="store_true", help="print the plan and what is done, and end"
    )
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


def _whole_number(given: Mapping[str, str], name: str) -> int:
    """An option that is a number of at least 1."""
    try:
        number = int(given[name])
    except ValueError:
        number = 0
    if number < 1:
        raise SystemExit(f"tables: {name.upper()}={given[name]}: no whole number of at least 1")
    return number


def _check_places(given: Mapping[str, str]) -> None:
    """The folders and the hours."""
    if given["hours"]:
        try:
            hours = float(given["hours"])
        except ValueError:
            hours = math.nan
        if not 0 < hours < math.inf:
            raise SystemExit(f"tables: HOURS={given['hours']}: no number of hours above 0")
    out, backbone = Path(given["out"]), Path(given["backbone"])
    if out.exists() and not out.is_dir():
        raise SystemExit(f"tables: {out}: is a file; OUT names the folder of all results")
    for name in ("model.pt", "dict.txt", "sentence.bpe.model"):
        if not (backbone / name).exists():
            raise SystemExit(f"tables: {backbone / name}: missing; BACKBONE names the folder")


def check_architecture(arch: str) -> None:
    """Whether fairseq knows it; the import takes seconds, so this is asked before a run alone."""
    logging.getLogger("fairseq").setLevel(logging.WARNING)  # it tells what it did not find
    from laft_fairseq.analysis.parameter_counts import architectures

    if arch not in architectures():
        known = ", ".join(architectures())
        raise SystemExit(f"tables: ARCH={arch}: no such architecture; choose from {known}")


def prepare(given: Mapping[str, str]) -> tuple[Work, int]:
    """The run that the options ask for, and how many steps are done side by side."""
    budget = budgets.make(given["budget"], given)
    _check_places(given)
    questions = Path(given["qg"]) if given["qg"] else None
    read = sources.Sources(Path(given["ddtp"]), Path(given["mono"]), questions)
    sources.check(read, budget)
    try:
        human = sources.human_targets(read, budget)
    except (OSError, ValueError) as error:
        raise SystemExit(f"tables: {error}; DDTP names the folder") from error
    backbone = Path(given["backbone"])
    have = Resources(
        human,
        translation.engines(budget.targets),
        questions is not None,
        (backbone / "card.json").exists(),
    )
    gpu = has_gpu()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jobs = _whole_number({"jobs": given["jobs"] or str(2 if gpu else cores or 1)}, "jobs")
    place = Place(Path(given["out"]), backbone, given["arch"], not gpu,
                  _whole_number(given, "save_updates"))  # fmt: skip
    return Work(budget, place, read, have, threads=max(1, (cores or 1) // jobs)), jobs
