"""`translate.sh`: nothing lost, moved or made up; resumable; a wrong engine is refused."""

import gzip
import hashlib
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
ROWS = [
    ["alpha", "m1", "one two. ⏎ three four. ⏎ five", "first synopsis"],
    ["beta", "m2", "a single paragraph with \\ [ ] ^ $ < > @ /", "second"],
    ["gamma", "m3", "⏎ mark at the start and at the end ⏎ ", ""],
    ["delta", "m4", "no spaces⏎around the mark", "4"],
]
UPPER = "tr a-z A-Z"


def translate(
    source: Path, out: Path, command: str, *options: str
) -> subprocess.CompletedProcess[str]:
    arguments = ["--in", source, "--out", out, "--command", command, *options]
    return subprocess.run(
        [ROOT / "preprocess" / "translate.sh", *arguments],
        capture_output=True, text=True, check=False, cwd=out.parent,
        env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip


def one_line(failed: subprocess.CompletedProcess[str]) -> str:
    assert failed.returncode == 1
    assert failed.stderr.startswith("translate: ") and failed.stderr.count("\n") == 1
    return failed.stderr


def provenance(out: Path) -> dict[str, object]:
    record = json.loads(out.with_name(f"{out.name}.provenance.json").read_text())
    assert isinstance(record, dict)
    return record


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "en.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """Twenty lines, so five shards of four."""
    path = tmp_path / "numbers.txt"
    path.write_text("".join(f"line {n}\n" for n in range(20)))
    return path


def test_pairs_keep_rows_columns_and_paragraph_marks(pairs: Path, tmp_path: Path) -> None:
    """The engine sees each paragraph alone, never the mark, never a blank line."""
    out, seen = tmp_path / "out.tsv.xz", tmp_path / "seen"
    command = f"tee -a {seen} | {UPPER}"
    done = translate(pairs, out, command, "--shard-lines", "4", "--version-command", "echo tr 9")
    assert done.returncode == 0, done.stderr
    expected = [[a, b, c.upper(), d.upper()] for a, b, c, d in ROWS]
    text = lzma.decompress(out.read_bytes()).decode("utf-8")
    assert [line.split("\t") for line in text.splitlines()] == expected
    sent = seen.read_text("utf-8").splitlines()
    assert sent[:4] == ["one two.", "three four.", "five", "first synopsis"]
    assert len(sent) == 10 and all(line.strip() and "⏎" not in line for line in sent)
    record = provenance(out)
    assert record["input_sha256"] == hashlib.sha256(pairs.read_bytes()).hexdigest()
    assert record["output_sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    wanted = {"command": command, "version": "tr 9", "rows": 4, "lines": 10, "shards": 3,
              "empty_lines": 0, "unchanged_lines": 1, "columns": [3, 4]}  # fmt: skip
    assert {key: record[key] for key in wanted} == wanted
    assert not (tmp_path / "out.tsv.xz.work").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("in.txt", b""),
        ("in.txt", b"a\n\xff\n"),
        ("in.txt", b"\x1f\x8b\x08\0"),
        ("short.tsv", b"a\tb\tc\n"),
        ("nowhere.txt", None),
    ],
)
def test_a_wrong_input_is_named_and_leaves_nothing(
    tmp_path: Path, name: str, text: bytes | None
) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text)
    message = one_line(translate(tmp_path / name, tmp_path / "out", "cat"))
    assert str(tmp_path / name) in message
    assert [path.name for path in tmp_path.iterdir()] == [name] * (text is not None)


def test_output_that_could_not_be_read_again_is_refused(numbers: Path, tmp_path: Path) -> None:
    """Input may be gzip; output is not, whatever its name promises."""
    packed = tmp_path / "in.txt.gz"
    packed.write_bytes(gzip.compress(numbers.read_bytes()))
    assert "out.txt.gz" in one_line(translate(packed, tmp_path / "out.txt.gz", "cat"))
    done = translate(packed, tmp_path / "out.txt", "cat")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.txt").read_bytes() == numbers.read_bytes()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("sed 2d", "3 lines"),
        ("cat; printf more", "5 lines"),
        (r"sed 's/1/\xff/'", "not UTF-8"),
        ("(cat; echo no model >&2; exit 7) | cat", "7: no model"),  # as many lines as it should
    ],
)
def test_a_wrong_engine_is_refused(
    numbers: Path, tmp_path: Path, command: str, reason: str
) -> None:
    """The line names the first shard's file and what is wrong; no output is left."""
    out = tmp_path / "out.txt"
    message = one_line(translate(numbers, out, command, "--shard-lines", "4"))
    assert f"{out}.work/00000.in" in message and reason in message
    assert not out.exists() and not list((tmp_path / "out.txt.work").glob("*.out"))


def test_empty_translations_are_kept_and_counted(numbers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    done = translate(numbers, out, "sed 's/^line [36]$//'")
    assert done.returncode == 0, done.stderr
    lines = numbers.read_text().splitlines()
    assert out.read_text().splitlines() == ["" if n in (3, 6) else x for n, x in enumerate(lines)]
    assert "row 4" in done.stdout
    record = provenance(out)
    assert (record["empty_lines"], record["unchanged_lines"]) == (2, 18)


def test_tabs_and_marks_of_the_engine_break_no_row(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    done = translate(pairs, out, r"sed 's/.*/a\tb ⏎ c\r/'")
    assert done.returncode == 0, done.stderr
    first = out.read_text("utf-8").split("\n")[0].split("\t")
    assert first == ["alpha", "m1", "a b   c ⏎ a b   c ⏎ a b   c", "a b   c"]


def test_a_killed_run_goes_on(numbers: Path, tmp_path: Path) -> None:
    """SIGKILL while the third shard runs: the first two are not run again; no torn output."""
    out, calls = tmp_path / "out.txt", tmp_path / "calls"
    command = (
        f"read -r first; echo $first >> {calls}; echo $first; "
        f"[ \"$first\" != 'line 8' ] || [ -e {tmp_path}/go ] || sleep 30; cat"
    )
    arguments = ["--in", numbers, "--out", out, "--command", command, "--shard-lines", "4"]
    script = [ROOT / "preprocess" / "translate.sh", *arguments]
    environment = {**os.environ, "PYTHON": sys.executable}
    process = subprocess.Popen(script, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (calls.exists() and "line 8" in calls.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    busy = one_line(translate(numbers, out, command, "--shard-lines", "4"))
    assert "another run is working there" in busy
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert {p.name for p in (tmp_path / "out.txt.work").glob("*.out")} == {"00000.out", "00001.out"}

    (tmp_path / "go").touch()
    done = translate(numbers, out, command, "--shard-lines", "4")
    assert done.returncode == 0, done.stderr
    assert out.read_text() == numbers.read_text()
    assert calls.read_text().split("\n")[:-1] == [f"line {n}" for n in (0, 4, 8, 8, 12, 16)]
    assert provenance(out)["shards_of_last_run"] == 3
    again = translate(numbers, out, command, "--shard-lines", "4")
    assert again.returncode == 0 and "up to date" in again.stdout


def test_command_and_input_may_not_change_half_way(numbers: Path, tmp_path: Path) -> None:
    out, broken = tmp_path / "out.txt", "grep -v 'line 9'"
    one_line(translate(numbers, out, broken, "--shard-lines", "4"))
    assert "command was" in one_line(translate(numbers, out, "cat", "--shard-lines", "4"))
    numbers.write_text("other\n")
    assert "input sha256" in one_line(translate(numbers, out, broken, "--shard-lines", "4"))


def test_where_no_shard_is_finished_settings_may_change(numbers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    assert "127" in one_line(translate(numbers, out, "catt", "--shard-lines", "4"))
    done = translate(numbers, out, "cat", "--shard-lines", "7")
    assert done.returncode == 0, done.stderr
    assert out.read_text() == numbers.read_text()
    assert not (tmp_path / "out.txt.work").exists()


def test_a_finished_output_is_not_overwritten(numbers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    assert translate(numbers, out, "cat").returncode == 0
    assert "command was" in one_line(translate(numbers, out, UPPER))
    out.write_text("by hand\n")
    assert str(out) in one_line(translate(numbers, out, "cat"))
    (tmp_path / "out.txt.provenance.json").unlink()
    assert str(out) in one_line(translate(numbers, out, "cat"))
    assert out.read_text() == "by hand\n"


def test_shards_side_by_side_come_out_in_order(numbers: Path, tmp_path: Path) -> None:
    """Earlier shards take longer, so that they end in another order than they began."""
    out = tmp_path / "out.txt"
    slow = "read -r a; sleep $(awk -v a=\"${a#line }\" 'BEGIN{print (16 - a) / 20}'); echo $a; cat"
    done = translate(numbers, out, slow, "--shard-lines", "4", "--jobs", "3")
    assert done.returncode == 0, done.stderr
    assert out.read_text() == numbers.read_text()
    assert "shard 1 of 5" not in done.stdout.split("\n")[0]
