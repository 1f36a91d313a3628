"""`tables.sh --list`: done, spared and left."""

from pathlib import Path

from examples.ddtp.tables import listing
from examples.ddtp.tables.files import write_text
from examples.ddtp.tables.steps import Step

STEPS = (
    Step("stage2/a", "stage2", "stage 2, a", "runs/stage2/a/done.json", estimate=100),
    Step("select/a", "select", "learning rate, a", "select/a.json", ("stage2/a",), 0),
    Step("cell/a", "cell", "outputs, a", "results/a.json", ("stage2/a", "select/a"), 50),
    Step("cell/b", "cell", "outputs, b", "results/b.json", (), 3600),
)


def test_nothing_is_done_yet(tmp_path: Path) -> None:
    *steps, whole = listing.lines(tmp_path / "none", STEPS, 2)
    assert steps[0] == "    100 s  stage 2, a"
    assert [line.split()[0] for line in steps] == ["100", "0", "50", "3600"]
    assert whole == "4 steps, about 31 min with 2 jobs"
    assert not (tmp_path / "none").exists()


def test_what_is_done_is_not_counted(tmp_path: Path) -> None:
    """The training behind finished cells is not run again."""
    for name in ("select/a.json", "results/a.json"):
        write_text(tmp_path / name, "{}")
    *steps, whole = listing.lines(tmp_path, STEPS, 1)
    assert [line.split()[0] for line in steps] == ["spared", "done", "done", "3600"]
    assert whole == "4 steps, 2 of them done; the rest takes about 1 h 0 min with 1 job"
    write_text(tmp_path / "results/b.json", "{}")
    assert listing.lines(tmp_path, STEPS, 1)[-1] == "4 steps, 3 of them done; nothing is left"
