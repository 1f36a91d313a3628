"""The benchmarks' counting, timing and tables; what they time is measured, not tested."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import claims, hypotheses, measure, report, run, suites
from benchmarks.claims import Claim
from benchmarks.contenders import Contender, Place
from benchmarks.shapes import SHAPES, search_work, work

PRINTS = """
import time
for update in range(4):
    time.sleep(0.2 if update else 0)
    print("update", update, flush=True)
print("hypotheses [[5, 2], [6, 2]]")
"""


def test_the_work_of_mbart_large_is_the_issues() -> None:
    """Issue 5, counted without attention's own products: a few per cent below."""
    counted = work(SHAPES["large"])
    assert counted.encoder == pytest.approx(48.3, rel=0.03)
    assert counted.decoder == pytest.approx(8.5, rel=0.03)
    assert counted.cross == pytest.approx(8.1, rel=0.01)
    assert counted.vocabulary == pytest.approx(12.3, rel=0.01)
    assert counted.full == pytest.approx(231.6, rel=0.03)
    assert counted.stage2 / counted.full == pytest.approx(0.57, abs=0.005)
    assert counted.stage2_cached / counted.full == pytest.approx(0.36, abs=0.005)
    plain, laft = search_work(SHAPES["large"], 5)
    assert laft / plain == pytest.approx(1.074, abs=0.001)


def contender(script: str, **more: Any) -> Contender:
    return Contender("a row", (sys.executable, "-c", script), **more)


def test_a_step_is_the_time_between_lines(tmp_path: Path) -> None:
    found = measure.run(contender(PRINTS), 1, tmp_path / "log")
    assert len(found.seconds) == len(found.cpu) == 3
    assert 0.19 < found.step < 2
    assert found.cpu_step < found.step
    assert found.whole > 0.6
    assert found.peak_mb > 5
    assert "update 3" in (tmp_path / "log").read_text()


def test_other_marks_and_an_accelerators_peak(tmp_path: Path) -> None:
    script = "print('made 1'); print('made 2'); print('cuda_peak_bytes', 3 * 2**20)"
    found = measure.run(contender(script, marks="^made"), 1, tmp_path / "log")
    assert (len(found.seconds), found.peak_mb) == (1, 3.0)


def test_a_failure_is_a_line_and_no_number(tmp_path: Path) -> None:
    bad = contender("print('begun'); raise SystemExit('no such thing')")
    with pytest.raises(measure.Failed, match="no such thing"):
        measure.run(bad, 1, tmp_path / "log")
    assert run.attempt(bad, 1, tmp_path / "log") == "no such thing"


def test_a_missing_package_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [contender("", needs=("no_such_package",)), Contender("another", ())]
    suite = suites.Suite(lambda place: rows, (), "")
    place = Place(Path("nowhere"), SHAPES["mini"], 5)
    assert run.chosen(suite, place, "") == rows[1:]
    assert "a row: skipped: pip install no_such_package" in capsys.readouterr().out
    assert run.chosen(suite, place, "nothing") == []


def rows() -> dict[str, dict[str, Any]]:
    base = {"step_low_s": 1.0, "step_high_s": 3.0, "cpu_s": 0.0}
    return {
        "first": {**base, "step_s": 2.0, "peak_mb": 100.0, "gflop": 4.0},
        "second": {**base, "step_s": 1.0, "peak_mb": 50.0, "gflop": 3.0, "written_mb": 1234.5},
    }


def test_claims_compare_what_was_measured() -> None:
    asked = (Claim("second", "first", "time", 0.6), Claim("second", "first", "memory"),
             Claim("second", "first", "disk"), Claim("third", "first", "time"))  # fmt: skip
    found = claims.found(asked, rows())
    assert [(one["kind"], one["ratio"], one["floor"]) for one in found] == [
        ("time", 0.5, 0.75), ("memory", 0.5, None)
    ]  # fmt: skip


def test_outputs_are_compared_with_the_first_rows(tmp_path: Path) -> None:
    one = measure.run(contender(PRINTS.replace("0.2", "0")), 1, tmp_path / "log")
    other = measure.run(contender("print('hypotheses [[5, 2], [7, 2]]')"), 1, tmp_path / "log")
    table = rows()
    hypotheses.compare(table, {"first": [one], "second": [other]})
    assert (table["first"]["same"], table["second"]["same"]) == (1.0, 0.5)


def test_the_table_is_written_from_all_results(tmp_path: Path) -> None:
    result = {
        "name": "stage2", "shape": "mini", "batch": 4, "source": 160, "target": 24, "threads": 2,
        "repeats": 3, "updates": 5, "date": "2026-01-01", "machine": "a machine", "note": "",
        "versions": {"torch": "2"}, "about": "A step.", "command": "python benchmarks/run.py",
        "contenders": rows(), "failed": {"third": "out of memory"},
    }  # fmt: skip
    run.write(tmp_path, "stage2-mini.json", result)
    run.write(tmp_path, "none.json", {**result, "contenders": {}})
    assert json.loads((tmp_path / "results" / "stage2-mini.json").read_text()) == result
    text = (tmp_path / "RESULTS.md").read_text()
    row = "| second | **0.50** | 0.50 | 1.000 (1.000 to 3.000) |  | 50 | 0.75 | 1,234.5 |"
    assert row in text.splitlines()
    assert "third: failed: out of memory" in text
    assert report.asked({**result, "name": "unknown"}) == []


@pytest.mark.parametrize("name", sorted(suites.SUITES))
def test_every_suite_names_its_rows(name: str) -> None:
    made = suites.SUITES[name].contenders(Place(Path("out"), SHAPES["large"], 5))
    names = [one.name for one in made]
    assert len(set(names)) == len(names)
    for claim in suites.SUITES[name].claims:
        assert claim.row in names and claim.against in names
        assert claim.kind in claims.KINDS
