"""The headline recipe by its own commands, at the smallest size, on the embedded backbone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ITEMS = 6
SIZE = {
    "TEST_ITEMS": str(ITEMS),
    "MAX_SENTENCES": "40",
    "TARGETS": "fr_XX",
    "STAGE1_UPDATES": "1",
    "STAGE2_UPDATES": "1",
    "BEAM": "1",
    "VALID_ITEMS": "8",
}


def run(out: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`examples/ddtp/run.sh` with this interpreter's commands first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **SIZE, "OUT": str(out), "PATH": path, **variables}
    return subprocess.run(
        ["bash", str(ROOT / "examples" / "ddtp" / "run.sh")],
        env=environment, capture_output=True, text=True, check=False, cwd=out.parent,
    )  # fmt: skip


@pytest.mark.integration
def test_the_recipe_runs_to_its_table_and_resumes(tmp_path: Path) -> None:
    """Every step leaves its result; hypotheses as many as inputs; a second run repeats nothing."""
    out = tmp_path / "out"
    first = run(out)
    assert first.returncode == 0, first.stdout[-2000:] + first.stderr[-2000:]
    for method in ("laft", "mbart_full"):
        report = json.loads((out / method / "score.fr_XX.json").read_text())
        assert report["n"] == ITEMS
        assert set(report["floors"]) == {"lead1", "source_copy", "oracle", "english_reference"}
        assert f"| **{method}** | fr_XX |" in first.stdout
    assert (out / "figure2.png").read_bytes().startswith(b"\x89PNG")
    assert "LEAD-1" in (out / "table.md").read_text()

    (out / "mbart_full" / "score.fr_XX.json").unlink()
    before = (out / "laft" / "stage2" / "checkpoint_best.pt").stat().st_mtime_ns
    second = run(out)
    assert second.returncode == 0, second.stderr[-2000:]
    assert "stage 2, laft: done before" in second.stdout
    assert "score, mbart_full, fr_XX: done before" not in second.stdout
    assert (out / "laft" / "stage2" / "checkpoint_best.pt").stat().st_mtime_ns == before


@pytest.mark.integration
def test_a_missing_backbone_stops_at_once(tmp_path: Path) -> None:
    """One clear line that names the folder, a non-zero exit."""
    failed = run(tmp_path / "out", BACKBONE=str(tmp_path / "nowhere"))
    assert failed.returncode != 0
    assert "nowhere" in failed.stderr
