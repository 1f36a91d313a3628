"""`tables.sh` by its own commands, at the smallest size: killed, resumed, ended the same."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "BUDGET": "tiny", "ROWS": "mbart_enc_top2", "VARIANTS": "main",
    "GRID": "1e-3", "STAGE2_UPDATES": "8", "PAIRS": "30", "MAX_TOKENS": "1024",
    "VALID_ITEMS": "2", "TEST_ITEMS": "3", "JOBS": "1",
    "SAVE_UPDATES": "5",
}  # fmt: skip
KILLED = "runs/stage2/zero-shot/mbart_enc_top2.main/s1.1e-3"


def start(out: Path, log: Path, **options: str) -> subprocess.Popen[bytes]:
    """`examples/ddtp/tables.sh` with this interpreter's commands first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **OPTIONS, "OUT": str(out), "PATH": path, **options}
    with log.open("ab") as handle:
        return subprocess.Popen(
            ["bash", str(ROOT / "examples" / "ddtp" / "tables.sh")],
            env=environment, stdout=handle, stderr=handle, cwd=out.parent,
        )  # fmt: skip


def run(out: Path, log: Path, code: int = 0, **options: str) -> str:
    """Run to the end; what was printed."""
    ended = start(out, log, **options).wait()
    text = log.read_text()
    assert ended == code, text[-3000:]
    return text


def cells(out: Path) -> dict[str, Any]:
    """Every result, without what a clock or the system measured."""
    found = {}
    for path in sorted((out / "results").rglob("*.json")):
        content = json.loads(path.read_text())
        cost = content.get("cost", {})
        measured = {"peak_mib", "interrupted"}
        for key in [key for key in cost if key.endswith("_seconds") or key in measured]:
            del cost[key]
        found[path.relative_to(out).as_posix()] = content
    return found


def tables(out: Path) -> str:
    """What the page says before it comes to the seconds."""
    text = (out / "tables.md").read_text()
    return text[: text.index("## What else the outputs were asked, and what they cost")]


def killed_in_training(out: Path, log: Path) -> None:
    """Kill the run, and nothing else, once a training has saved a checkpoint on its way."""
    process = start(out, log)
    end = time.monotonic() + 900
    while not (out / KILLED / "checkpoint_last.pt").exists():
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_run_goes_on_and_ends_in_the_same_table(tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    text = run(whole, tmp_path / "whole.log")
    assert "steps were done before" not in text
    expected = cells(whole)
    cell = "results/zero-shot/mbart_enc_top2.main.fr_XX.s1.{}.json"
    assert {cell.format("source"), cell.format("target"), "results/gates.json"} <= set(expected)
    source = expected[cell.format("source")]
    assert len(source["items"]["rougeL"]) == source["scores"]["n"] == 3
    assert [p["update"] for p in source["curve"] if p["split"] == "train"] == list(range(1, 9))
    assert {**source, "selection": "target"} == expected[cell.format("target")]
    assert str(tmp_path) not in json.dumps(expected)
    assert "mBART (enc top-2)" in tables(whole)
    assert not list(whole.rglob("checkpoint*.pt"))

    # The text of the two is the same; the rest has to be made again.
    for folder in ("raw", "data-bin", "data"):
        shutil.copytree(whole / folder, resumed / folder)
    killed_in_training(resumed, tmp_path / "resumed.log")
    assert not (resumed / KILLED / "done.json").exists()
    text = run(resumed, tmp_path / "resumed.log")
    log = (resumed / KILLED / "train.log").read_text()
    assert re.search(r"Loaded checkpoint .* @ 5 updates", log)
    assert cells(resumed) == expected
    cost = json.loads((resumed / cell.format("source")).read_text())["cost"]
    assert (cost["interrupted"], cost["stage2_seconds"]) == (True, None)
    assert tables(resumed) == tables(whole)

    again = run(resumed, tmp_path / "again.log")
    assert re.search(r"\b(\d+) of \1 steps were done before", again)
    assert "seed 1, rate" not in again
    elsewhere = tmp_path / "elsewhere"  # another machine: nothing but the results comes with it
    shutil.copytree(whole / "results", tmp_path / "kept" / "results")
    shutil.copytree(whole / "select", tmp_path / "kept" / "select")
    text = run(elsewhere, tmp_path / "elsewhere.log", CARRY=str(tmp_path / "kept"))
    assert "seed 1, rate" not in text and not (elsewhere / "runs").exists()
    assert cells(elsewhere) == expected
    assert tables(elsewhere) == tables(whole)

    refused = run(resumed, tmp_path / "refused.log", code=1, STAGE2_UPDATES="9")
    assert "STAGE2_UPDATES was 8, is now 9; name another OUT" in refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"BACKBONE": "nowhere"}, "nowhere/model.pt: missing"),
        ({"DDTP": "nowhere"}, "nowhere: no such folder; DDTP names it"),
        ({"ROWS": "best"}, "best is none of"),
        ({"ARCH": "nosuch"}, "ARCH=nosuch: no such architecture"),
    ],
)
def test_wrong_options_stop_at_once(tmp_path: Path, options: dict[str, str], words: str) -> None:
    text = run(tmp_path / "out", tmp_path / "log", code=1, **options)
    assert words in text and len(text.splitlines()) == 1
