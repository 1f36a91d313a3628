"""`cc100.sh`: the same sample after a kill and after a cut-off file; one line for what is wrong."""

import json
import lzma
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "preprocess" / "cc100.sh"
ENVIRONMENT = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
pytestmark = pytest.mark.recipe


def arguments(source: object, out: Path, *more: str) -> list[str]:
    return [str(SCRIPT), "--in", str(source), "--lang", "en_XX", "--out", str(out),
            "--sentences", "1000", "--valid", "50", *more]  # fmt: skip


def run(
    source: object, out: Path, *more: str, stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        arguments(source, out, *more), capture_output=True, check=False, env=ENVIRONMENT,
        input=stdin,
    )  # fmt: skip


def provenance(out: Path) -> dict[str, object]:
    told = json.loads(out.with_name(f"{out.name}.provenance.json").read_text())
    assert isinstance(told, dict)
    return told


@pytest.fixture(scope="module")
def data() -> bytes:
    """60,000 lines, 6 MB, so three blocks."""
    words = "the committee met in an old town hall and talked about money for many hours".split()
    lines = [" ".join(words[(n * k + k) % 14] for k in range(1, 20)) + f" {n}"
             for n in range(60_000)]  # fmt: skip
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture(scope="module")
def whole(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one run makes of it, by name `out.txt`, with the text beside it."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "text.xz").write_bytes(lzma.compress(data, preset=0))
    done = run(folder / "text.xz", folder / "out.txt", "--log-seconds", "0")
    assert done.returncode == 0, done.stderr
    assert b"60,000 lines read, 0 of them blank" in done.stdout
    assert b"(100.0%), 60,000 lines, " in done.stderr.splitlines()[-1]
    assert b"/s, 0:00 left" in done.stderr.splitlines()[-1]
    assert sorted(path.name for path in folder.iterdir()) == [
        "out.txt", "out.txt.provenance.json", "out.valid.txt", "text.xz"
    ]  # fmt: skip
    return folder / "out.txt"


def same(out: Path, whole: Path) -> bool:
    """Training and validation lines are those of the run in one go."""
    pairs = ((out, whole), (out.with_name("out.valid.txt"), whole.with_name("out.valid.txt")))
    counts = ("lines", "blank", "passing", "looked_at", "text_bytes", "text_crc32")
    told, wanted = provenance(out), provenance(whole)
    return all(a.read_bytes() == b.read_bytes() for a, b in pairs) and all(
        told[key] == wanted[key] for key in counts
    )


def test_lines_are_the_texts_own_and_parts_are_disjoint(data: bytes, whole: Path) -> None:
    train, valid = (p.read_bytes().splitlines() for p in (whole, whole.with_name("out.valid.txt")))
    assert (len(set(train)), len(train), len(valid)) == (1000, 1000, 50)
    assert not set(train) & set(valid) and set(train) | set(valid) <= set(data.splitlines())
    again = run(whole.with_name("text.xz"), whole)
    assert again.returncode == 0 and again.stdout == f"cc100: {whole}: up to date\n".encode()
    other = run(whole.with_name("text.xz"), whole, "--seed", "2")
    assert other.returncode == 1
    assert b"is there already: seed was 1, now is 2; name another --out\n" in other.stderr


def test_a_killed_run_goes_on(data: bytes, whole: Path, tmp_path: Path) -> None:
    """SIGKILL when two thirds of standard input were saved; another text is refused there."""
    out = tmp_path / "out.txt"
    state = tmp_path / "out.txt.work" / "state"
    process = subprocess.Popen(
        arguments("-", out, "--save-minutes", "0"), stdin=subprocess.PIPE, env=ENVIRONMENT
    )
    assert process.stdin is not None
    process.stdin.write(data[: 2**22 + 5])
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not (state.is_file() and json.loads(state.open("rb").readline())["lines"] > 35_000):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    assert not out.exists()

    wrong = run("-", out, stdin=data.replace(b"committee", b"assembly", 1))
    assert wrong.returncode == 1 and wrong.stderr.count(b"\n") == 1
    assert b"cc100: standard input: not the text that was begun with" in wrong.stderr
    done = run("-", out, stdin=data)
    assert done.returncode == 0, done.stderr
    assert same(out, whole) and not state.parent.exists()


def test_a_cut_off_file_goes_on_when_it_is_whole(whole: Path, tmp_path: Path) -> None:
    stored = whole.with_name("text.xz").read_bytes()
    text, out = tmp_path / "text.xz", tmp_path / "out.txt"
    text.write_bytes(stored[: len(stored) * 2 // 3])
    told = run(text, out)
    assert told.returncode == 1 and told.stderr.count(b"\n") == 1
    assert f"cc100: {text}: damaged, or cut off after".encode() in told.stderr
    assert b"lines are kept, and with the whole file the same command goes on" in told.stderr
    text.write_bytes(stored)
    done = run(text, out, "--log-seconds", "0")
    assert done.returncode == 0, done.stderr
    assert b"on the way to line" in done.stderr
    assert same(out, whole)


def test_the_first_lines_that_pass(data: bytes, tmp_path: Path) -> None:
    out = tmp_path / "out.txt.xz"
    command = [*arguments("-", out), "--first", "300"]
    del command[command.index("--sentences") : command.index("--sentences") + 2]
    done = subprocess.run(command, input=data, capture_output=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    found = b"".join(
        lzma.decompress((tmp_path / name).read_bytes())
        for name in ("out.txt.xz", "out.valid.txt.xz")
    )
    assert sorted(found.splitlines()) == sorted(data.splitlines()[:350])
    assert provenance(out)["lines"] == 350


def test_too_few_that_pass_are_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"short\n" * 20 + b"A sentence of a fitting length.\n")
    told = run(tmp_path / "text", tmp_path / "out.txt")
    assert told.returncode == 1 and told.stderr.count(b"\n") == 1
    assert b"only 1 sentences pass, and --valid takes 50" in told.stderr
    assert b"of 21 lines: kept 1 (4.8%), too short 20 (95.2%)" in told.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["text"]
