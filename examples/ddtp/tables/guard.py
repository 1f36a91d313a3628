"""One folder, one experiment: what was asked is written before the first step, and held to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from examples.ddtp.tables import amend, carry, experiment, sources
from examples.ddtp.tables import budget as budgets
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.files import read_json, write_json
from examples.ddtp.tables.work import Work

BEGUN = "begun.json"  # until there is an experiment.json


def before(out: Path) -> tuple[Path, dict[str, Any]] | None:
    """What a folder was begun with, and the file that says so."""
    written, begun = out / carry.EXPERIMENT, out / BEGUN
    if written.exists():
        found = read_json(written)
        return written, found | {"fingerprint": found["backbone"]["fingerprint"]}
    return (begun, read_json(begun)) if begun.exists() else None


def _fingerprint(work: Work) -> str:
    from laft_fairseq.errors import LaftError

    try:
        return experiment.fingerprint(work.place.backbone)[0]
    except LaftError as error:
        raise SystemExit(f"tables: {error}; BACKBONE names the folder") from error


def guard(out: Path, work: Work) -> None:
    """Refuse to mix two experiments in one folder; what is not recorded is not compared."""
    found = before(out)
    if found is None:
        return
    path, recorded = found
    may_change = {*budgets.SELECTING, *amend.AMENDABLE}
    if path == out / carry.EXPERIMENT:  # where the change can be written down
        may_change |= set(amend.RAISABLE)
    difference = budgets.first_difference(recorded["asked"], work.budget, may_change)
    if difference is None and recorded["arch"] != work.place.arch:
        difference = f"ARCH was {recorded['arch']}, is now {work.place.arch}"
    if difference is None and _fingerprint(work) != recorded["fingerprint"]:
        difference = f"{work.place.backbone} is another backbone"
    if difference:
        raise SystemExit(f"tables: {path}: {difference}; name another OUT")
    another = sources.first_difference(recorded.get("sources", {}), work.sources, work.budget)
    if another:
        raise SystemExit(f"tables: {path}: {another}, or name another OUT")


def begin(work: Work) -> None:
    """Write down what is asked for, unless the folder was begun before."""
    if before(work.out) is None:
        told = {"asked": budgets.recorded(work.budget), "arch": work.place.arch,
                "fingerprint": _fingerprint(work)}  # fmt: skip
        found = sources.digests(work.sources, work.budget)
        write_json(work.out / BEGUN, told | {"sources": found})


def asked(work: Work) -> Budget:
    """The budget to record: as the folder was begun, with what has been amended since.

    A later call may do fewer seeds and other parts, and the record does not follow it.
    """
    path = work.out / BEGUN
    if not path.exists():
        return work.budget
    first = read_json(path)["asked"]
    names = (*budgets.COUNTS, *budgets.SELECTING)
    values: dict[str, Any] = {name: first[name] for name in names}
    values |= {name: tuple(found) for name, found in values.items() if isinstance(found, list)}
    return replace(work.budget, **values)


def take_over(source: Path, work: Work) -> None:
    """Begin with what another machine has finished of the same experiment."""
    if not (source / carry.EXPERIMENT).exists():
        raise SystemExit(f"tables: {source / carry.EXPERIMENT}: missing; CARRY names the folder")
    guard(source, work)
    guard(work.out, work)
    both = [folder / carry.EXPERIMENT for folder in (source, work.out)]
    left: dict[str, str] = {}
    if both[1].exists():
        theirs, mine = (read_json(path) for path in both)
        left = amend.overtaken(theirs["asked"], mine)
        as_theirs = mine["asked"] | {name: theirs["asked"].get(name) for name in left}
        difference = amend.difference(theirs["asked"], as_theirs)
        if difference:
            raise SystemExit(f"tables: {both[0]} and {both[1]}: {difference}; name another OUT")
    count = carry.take_over(source, work.out, left.values())
    print(f"tables: {count} files taken over from {source}")
    machine = experiment.machine(work.place)
    carry.name_machines(work.out / carry.EXPERIMENT, machine, read_json(both[0])["machine"])
