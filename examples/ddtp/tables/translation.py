"""Machine translation on this machine: translate-train's pairs, and translate-test's cells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from examples.ddtp.tables import commands
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.commands import Place

# By target: Apertium's modes from English, and back into it.
MODES = {"fr_XX": (("eng-cat", "cat-fra"), ("fra-cat", "cat-eng"))}
VERSION = "preprocess/apertium_lines.sh --version"


def engines(targets: tuple[str, ...]) -> tuple[str, ...]:
    """The targets that Apertium, as installed here, can translate into and back."""
    if shutil.which("apertium") is None:
        return ()
    listed = subprocess.run(["apertium", "-l"], capture_output=True, text=True, check=False)
    known = set(listed.stdout.split())
    return tuple(
        lang
        for lang in targets
        if lang in MODES and all(mode in known for way in MODES[lang] for mode in way)
    )


def _command(lang: str, way: int) -> str:
    return " ".join(["preprocess/apertium_lines.sh", *MODES[lang][way]])


def pairs(lang: str, english: Path, out: Path) -> list[str]:
    """`preprocess/translate.sh` on the English training pairs."""
    return ["bash", "preprocess/translate.sh", "--in", str(english), "--out", str(out),
            "--command", _command(lang, 0), "--version-command", VERSION]  # fmt: skip


def test(place: Place, budget: Budget, checkpoint: Path, raw: Path, lang: str,
         out: Path) -> list[str]:  # fmt: skip
    """`preprocess/translate_test.sh` on a target's test."""
    english = raw / f"{lang}.test.english"
    return [
        "bash", "preprocess/translate_test.sh", "--src", str(raw / f"{lang}.test.src"),
        "--ref", str(raw / f"{lang}.test.tgt"), "--lang", lang, "--out", str(out),
        "--checkpoint", str(checkpoint), "--backbone", str(place.backbone),
        "--to-english", _command(lang, 1), "--from-english", _command(lang, 0),
        "--version-command", VERSION, "--beam", str(budget.beam),
        "--lenpen", commands.LENPEN["headlines"], "--max-len", commands.MAX_OUTPUT,
        "--score", f"--floors --langs {','.join(budget.langs)}",
        *(["--english-ref", str(english)] if english.exists() else []),
    ]  # fmt: skip
