"""Folders of raw text: what is read from them, in which order, and digests of their files."""

from __future__ import annotations

import hashlib
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.ddtp.tables.budget import Budget

SHORT = {"en_XX": "en", "fr_XX": "fr", "zh_CN": "zh_CN", "de_DE": "de"}
HUMAN_PAIRS = 1000  # fewer do not make a training set
PARAGRAPH = " ⏎ "  # between the paragraphs of a description
QUESTION_FILES = {"nqg": "nqg.test", "xquad-en": "xquad.en", "xquad-zh": "xquad.zh",
                  "cmrc": "cmrc2018.trial"}  # fmt: skip
MADE_FILES = ("en_XX.train.tsv", "en_XX.valid.tsv", "zh_CN.test.tsv")  # of preprocess/qg.sh
Row = list[str]  # package, md5 of the English text, description, synopsis


@dataclass(frozen=True)
class Sources:
    """Folders of raw text."""

    ddtp: Path
    mono: Path
    questions: Path | None = None

    def pairs(self, lang: str, split: str) -> Path | None:
        """The pairs of a language and split, by either of the names that recipes give them."""
        return _first(self.ddtp, [f"{name}.{split}.tsv.xz" for name in _names(lang)])

    def text(self, lang: str) -> Path | None:
        """The monolingual text of a language."""
        return _first(self.mono, [f"mono.{lang}.txt.xz", f"{_names(lang)[1]}.txt.xz"])

    @property
    def made(self) -> bool:
        """Whether the questions are pairs that preprocess/qg.sh has made."""
        return self.questions is not None and (self.questions / "en_XX.train.tsv").exists()


def _names(lang: str) -> tuple[str, str]:
    return lang, SHORT.get(lang, lang.split("_")[0])


def _first(folder: Path, names: list[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


def check(sources: Sources, budget: Budget) -> None:
    """Whatever every plan reads is there; else one line, before anything runs."""
    folders = {"DDTP": sources.ddtp, "MONO": sources.mono, "QG": sources.questions}
    for variable, folder in folders.items():
        if folder is not None and not folder.is_dir():
            raise SystemExit(f"tables: {folder}: no such folder; {variable} names it")
    if sources.pairs("en_XX", "train") is None:
        raise SystemExit(f"tables: {sources.ddtp}: no en_XX.train.tsv.xz; DDTP names the folder")
    for lang in budget.langs:
        for split in ("valid", "test"):
            if sources.pairs(lang, split) is None:
                files = " nor ".join(
                    f"{name}.{split}.tsv.xz" for name in dict.fromkeys(_names(lang))
                )
                raise SystemExit(
                    f"tables: {sources.ddtp}: no {files}; DDTP names the folder, TARGETS the "
                    "languages"
                )
        if sources.text(lang) is None:
            raise SystemExit(
                f"tables: {sources.mono}: no monolingual text in {lang} (mono.{lang}.txt.xz); "
                "MONO names the folder"
            )
    if sources.questions is not None and sources.made:
        for name in MADE_FILES:
            if not (sources.questions / name).exists():
                raise SystemExit(f"tables: {sources.questions / name}: missing; preprocess/qg.sh "
                                 "did not come to its end there: run it again")  # fmt: skip
    if sources.questions is not None and not sources.made:
        for name in QUESTION_FILES.values():
            path = sources.questions / f"{name}.jsonl.xz"
            if not path.exists():
                raise SystemExit(f"tables: {path}: missing, and so are pairs of preprocess/qg.sh; "
                                 "QG names a folder with either")  # fmt: skip


def _key(row: Row) -> str:
    return hashlib.sha256(f"tables {row[1]}".encode()).hexdigest()


def in_order(rows: list[Row]) -> list[Row]:
    """In the order of a hash, so that the first n are a fair sample."""
    return sorted(rows, key=_key)


def read_pairs(path: Path | None) -> list[Row]:
    """All rows, in the order of a hash."""
    if path is None:
        return []
    try:
        with lzma.open(path, "rt", encoding="utf-8", newline="\n") as handle:
            rows = [line.rstrip("\n").split("\t") for line in handle]
    except (lzma.LZMAError, EOFError, UnicodeError) as error:
        raise ValueError(f"{path}: damaged ({error})") from error
    if any(len(row) != 4 for row in rows):
        raise ValueError(f"{path}: a row does not have 4 columns")
    return in_order(rows)


def read_mono(sources: Sources, lang: str) -> list[str]:
    """Monolingual lines; what follows a tab (where a line is from) is left out."""
    path = sources.text(lang)
    if path is None:
        raise ValueError(f"{sources.mono}: no monolingual text in {lang} (MONO names the folder)")
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as handle:
        return [line.rstrip("\n").split("\t")[0] for line in handle]


def _stands_in(description: str, lines: set[str]) -> bool:
    """Whether the text has the description, or a paragraph of it, as a line."""
    return description in lines or any(part in lines for part in description.split(PARAGRAPH))


def english_pairs(sources: Sources, budget: Budget, mono: dict[str, list[str]]) -> list[Row]:
    """English training pairs, none of which stands translated in a target's monolingual text."""
    translated = set()
    for lang in budget.targets:
        lines = set(mono[lang])
        rows = read_pairs(sources.pairs(lang, "train"))
        translated |= {row[1] for row in rows if _stands_in(row[2], lines)}
    rows = [row for row in read_pairs(sources.pairs("en_XX", "train")) if row[1] not in translated]
    return rows[: budget.pairs]


def human_targets(sources: Sources, budget: Budget) -> tuple[str, ...]:
    """Targets with enough human training pairs to train on."""
    return tuple(
        lang
        for lang in budget.targets
        if len(read_pairs(sources.pairs(lang, "train"))) >= HUMAN_PAIRS
    )


def _read(sources: Sources, budget: Budget) -> dict[str, Path]:
    """Every file that a plan of the budget may read, by its part in it."""
    found = {f"MONO {lang}": sources.text(lang) for lang in budget.langs}
    for lang in budget.langs:
        for split in ("train", "valid", "test"):
            found[f"DDTP {lang} {split}"] = sources.pairs(lang, split)
    if sources.questions is not None:
        ending = "*.*.tsv" if sources.made else "*.jsonl.xz"
        names = {path.name for path in sources.questions.glob(ending)}
        if not sources.made:
            names &= {f"{name}.jsonl.xz" for name in QUESTION_FILES.values()}
        found |= {f"QG {name}": sources.questions / name for name in sorted(names)}
    return {part: path for part, path in found.items() if path is not None}


def digests(sources: Sources, budget: Budget) -> dict[str, dict[str, Any]]:
    """{part: file name, bytes, SHA-256} of every file that a plan of the budget may read."""
    return {
        part: {
            "file": path.name,
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for part, path in _read(sources, budget).items()
    }


def first_difference(before: dict[str, Any], sources: Sources, budget: Budget) -> str | None:
    """The first file that is another than the one recorded, in words; the rest is not compared."""
    paths = _read(sources, budget)
    for part, now in digests(sources, budget).items():
        if part in before and before[part]["sha256"] != now["sha256"]:
            variable, *_ = part.split()
            return (
                f"{paths[part]} is another file than the {variable} that it was begun with; give "
                "the same"
            )
    return None
