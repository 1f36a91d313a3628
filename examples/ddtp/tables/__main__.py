"""`examples/ddtp/tables.sh`: everything that the paper's tables need; `--help` shows how."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from examples.ddtp.tables import amend, carry, experiment, guard, listing, logs, process, runner
from examples.ddtp.tables import budget as budgets
from examples.ddtp.tables.options import check_architecture, parse, prepare
from examples.ddtp.tables.plan import plan
from examples.ddtp.tables.work import Work

# What a GPU makes of the estimates for one CPU core: hardly more than the start of the commands.
GPU_START, GPU_SHARE = 15.0, 0.01


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
    begun = guard.before(work.out)
    if begun is not None:
        asked = begun[1]["asked"]
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
        print("\n".join(listing.lines(work.out, steps, jobs)))
        return 0
    if not work.have.card:
        print(f"tables: {work.place.backbone}/card.json is not there: no gate will be read, and "
              "the verdict will say so; examples/mini/evaluate.py makes it")  # fmt: skip
    check_architecture(work.place.arch)
    held = runner.lock(work.out)
    if given["carry"]:
        guard.take_over(Path(given["carry"]), work)
    guard.guard(work.out, work)
    guard.begin(work)
    for line in amend.amend(work.out, work.out / carry.EXPERIMENT, work.budget):
        print(f"tables: {line}")
    experiment.renew(work.place, work.budget, work.have, work.sources)
    hours = float(given["hours"]) if given["hours"] else None
    whole = everything(work)
    run = runner.Runner(work, steps, jobs, hours, keep_going=not given["stop"],
                        tidy=lambda pending: runner.tidy(work.out, whole, pending))  # fmt: skip
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
