"""`cc100.sh`: the sample by the real command, and one line for what is wrong."""

import gzip
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("duckdb")
SCRIPT = Path(__file__).parents[2] / "preprocess" / "cc100.sh"
pytestmark = pytest.mark.recipe


def run(
    source: object, out: Path, *more: str, stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(SCRIPT), "--in", str(source), "--lang", "en_XX", "--out", str(out), "--valid", "50",
         "--sentences", "1000", *more],
        capture_output=True, check=False, env={**os.environ, "PYTHON": sys.executable}, input=stdin,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data() -> bytes:
    """60,000 lines, 6 MB, so two blocks."""
    words = "the committee met in an old town hall and talked about money for many hours".split()
    lines = [" ".join(words[(n * k + k) % 14] for k in range(1, 20)) + f" {n}"
             for n in range(60_000)]  # fmt: skip
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture(scope="module")
def sample(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample `out.txt`, beside its text."""
    folder = tmp_path_factory.mktemp("sample")
    half = len(data) // 2
    (folder / "text.xz").write_bytes(b"".join(map(lzma.compress, (data[:half], data[half:]))))
    done = run(folder / "text.xz", folder / "out.txt")
    assert done.returncode == 0, done.stderr
    assert b"60,000 lines" in done.stdout
    names = ["out.txt", "out.txt.provenance.json", "out.valid.txt", "text.xz"]
    assert sorted(path.name for path in folder.iterdir()) == names
    return folder / "out.txt"


def both(out: Path) -> list[list[bytes]]:
    return [p.read_bytes().splitlines() for p in (out, out.with_name("out.valid.txt"))]


def test_lines_are_the_texts_own_and_parts_are_disjoint(data: bytes, sample: Path) -> None:
    train, valid = both(sample)
    assert (len(set(train)), len(train), len(valid)) == (1000, 1000, 50)
    assert not set(train) & set(valid) and set(train) | set(valid) <= set(data.splitlines())
    before = sample.stat().st_mtime_ns
    assert run(sample.with_name("text.xz"), sample).returncode == 0
    other = run(sample.with_name("text.xz"), sample, "--seed", "2")
    assert other.returncode == 1 and b"seed" in other.stderr and other.stderr.count(b"\n") == 1
    assert sample.stat().st_mtime_ns == before


def test_the_sample_depends_on_text_and_seed_alone(
    data: bytes, sample: Path, tmp_path: Path
) -> None:
    """From gzip and from standard input, of which the lines come in another order."""
    (tmp_path / "text.gz").write_bytes(gzip.compress(data, 1))
    backwards = b"".join(reversed(data.splitlines(keepends=True)))
    for source, stdin in ((tmp_path / "text.gz", None), ("-", backwards)):
        folder = tmp_path / str(stdin is None)
        assert run(source, folder / "out.txt", stdin=stdin).returncode == 0
        assert both(folder / "out.txt") == both(sample)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.xz", lzma.compress(b"A sentence of a fitting length.\n" * 9999)[:-20]),
        ("cut.gz", gzip.compress(b"A sentence of a fitting length.\n" * 9999)[:-20]),
        ("short", b"short\n" * 20 + b"A sentence of a fitting length.\n"),
        ("empty", b""),
        ("nowhere", None),
    ],
)
def test_a_wrong_input_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    failed = run(tmp_path / name, tmp_path / "out.txt")
    assert failed.returncode == 1 and failed.stderr.count(b"\n") == 1
    assert str(tmp_path / name).encode() in failed.stderr
    assert not list(tmp_path.glob("out*")) and not list(tmp_path.glob(".cc100*"))
