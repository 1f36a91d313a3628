"""Apertium as a line-by-line engine: for real where it is installed, and where it goes wrong.

The last tests put an `apertium` of their own first on the path, which does so in known ways.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = {"eng-cat", "cat-fra", "fra-cat", "cat-eng"}
ODD = [
    "The program is free.",
    "",
    "   ",
    "^ $ [ ] \\ @ / < >",
    "!!! ??? ...",
    "An open [ bracket, a caret ^ and a stroke \\ here",
    "<b>bold</b> and [[t:b:123]]word[[/]]",
    "[<STREAMCMD:FLUSH>] hello",
    "a\rcarriage return, a\x0bvertical tab, a\u2028separator, a\x00zero",
    "bad \udcff\udcfe bytes",
    "日本語",
    "no full stop here",
    "Next line. Two sentences",
    "[^$]\\/<>@{}" * 300,
    "x" * 5000,
    "The house is big and the tree is green. " * 60,
    "The end",
]


def directions() -> set[str]:
    if shutil.which("apertium") is None:
        return set()
    listing = subprocess.run(["apertium", "-l"], capture_output=True, text=True, check=False)
    return set(listing.stdout.split())


real = pytest.mark.skipif(
    not directions() >= NEEDED,
    reason="no Apertium: apt-get install apertium apertium-eng-cat apertium-fra-cat",
)


def run(text: str, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    first = f"{path}{os.pathsep}" if path else ""
    environment = {**os.environ, "PYTHON": sys.executable, "PATH": first + os.environ["PATH"]}
    return subprocess.run(
        [ROOT / "preprocess" / "apertium_lines.sh", *arguments],
        input=text.encode("utf-8", "surrogateescape"),
        capture_output=True, check=False, env=environment,
    )  # fmt: skip


def lines(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("utf-8")
    assert text.endswith("\n")
    return text.split("\n")[:-1]


def joined(texts: list[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


@real
def test_odd_lines_come_out_one_by_one() -> None:
    """In seconds, each in its place, and nothing after a bad one is lost."""
    started = time.monotonic()
    outputs = lines(run(joined(ODD), "eng-cat", "cat-fra"))
    assert time.monotonic() - started < 120
    assert len(outputs) == len(ODD)
    by_line = dict(zip(ODD, outputs, strict=True))
    assert by_line["The program is free."] == "Le programme est libre."
    assert by_line["The end"] == "La fin"
    for same in ("", "^ $ [ ] \\ @ / < >", "!!! ??? ...", "日本語", "x" * 5000):
        assert by_line[same] == same
    assert by_line["[^$]\\/<>@{}" * 300] == "[^$]\\/<>@{}" * 300
    assert by_line["   "] == "" and by_line["[<STREAMCMD:FLUSH>] hello"].endswith("] salut")
    assert by_line["An open [ bracket, a caret ^ and a stroke \\ here"].count("\\") == 1
    assert by_line["The house is big and the tree is green. " * 60].count("maison") == 60
    assert all(outputs[i].strip() for i, text in enumerate(ODD) if text.strip())
    assert not any("*" in line for line in outputs)


@real
def test_ends_of_lines_and_an_unknown_direction() -> None:
    assert lines(run("Le programme est libre.\nLa fin", "fra-cat", "cat-eng")) == [
        "The program is free.", "The end",
    ]  # fmt: skip
    assert run("", "eng-cat").stdout == b""
    assert run("\n\n", "eng-cat").stdout == b"\n\n"
    failed = run("a\n", "eng-xyz")
    assert failed.returncode == 1 and b"eng-xyz" in failed.stderr


@real
def test_translate_sh_with_apertium(tmp_path: Path) -> None:
    """A pair of a package, its paragraphs translated and in their places."""
    source, out = tmp_path / "en.tsv", tmp_path / "fr.tsv"
    source.write_text("p\tm\tThe program is free. ⏎ The end\tThe house\n", "utf-8")
    script = ROOT / "preprocess" / "translate.sh"
    engine = f"{ROOT}/preprocess/apertium_lines.sh"
    options = ["--version-command", f"{engine} --version"]
    command = [script, "--in", source, "--out", out, "--command", f"{engine} eng-cat cat-fra"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert out.read_text("utf-8") == "p\tm\tLe programme est libre. ⏎ La fin\tLa maison\n"
    assert '"version": "Apertium ' in (tmp_path / "fr.tsv.provenance.json").read_text()


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """An `apertium` that upper-cases, but joins paragraphs and loses what follows a poison."""
    script = tmp_path / "apertium"
    script.write_text(
        "#!/bin/sh\n"
        "[ \"$1\" != -l ] || { echo '  a-b'; exit; }\n"
        f'echo "call $LD_PRELOAD" >> {tmp_path}/calls\n'
        'awk \'/poison/ {gone = 1} /joins/ {printf "%s", toupper($0); getline; next}'
        ' {print gone && !/poison/ ? "" : toupper($0)}\'\n'
    )
    script.chmod(0o755)
    return tmp_path


def test_what_one_line_spoils_is_done_again(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything after a poisonous line comes out empty: translated again apart from it.

    What training preloads does not reach Apertium: lt-proc ends with std::bad_alloc under jemalloc.
    """
    monkeypatch.setenv("LD_PRELOAD", "libm.so.6")
    texts = ["one", "poison", "two", "three", "poison again", "four"]
    assert lines(run(joined(texts), "a-b", path=fake)) == [text.upper() for text in texts]
    assert set((fake / "calls").read_text().split()) == {"call"}


def test_joined_paragraphs_are_told_apart(fake: Path) -> None:
    """A line that eats its paragraph's end shifts all that follow: halved until it is alone."""
    texts = ["one", "two", "it joins", "four"]
    outputs = run(joined(texts), "a-b", path=fake)
    assert outputs.returncode == 1 and outputs.stdout == b""
    assert b"'it joins'" in outputs.stderr and outputs.stderr.count(b"\n") == 1


def test_without_apertium_it_says_how_to_get_it(tmp_path: Path) -> None:
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    failed = subprocess.run(
        [str(shutil.which("bash")), ROOT / "preprocess" / "apertium_lines.sh", "eng-cat"],
        input="a\n", capture_output=True, text=True, check=False,
        env={"PATH": str(tmp_path), "PYTHON": sys.executable},
    )  # fmt: skip
    assert failed.returncode == 1
    assert "apt-get install apertium" in failed.stderr and failed.stderr.count("\n") == 1
