"""A small DDTP: pairs and monolingual text as `tables.sh` reads them, and a run on it."""

import lzma
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.sources import Row, Sources
from examples.ddtp.tables.steps import Resources
from examples.ddtp.tables.work import Work

SMALL = Budget(pairs=20, valid_items=2, targets=("fr_XX",), few_shot=(10,), rows=("laft",))


def row(lang: str, number: int, text: str = "") -> Row:
    """Package, md5 of the English, description, synopsis; a number is one package."""
    return [f"p{number}", f"m{number}", text or f"{lang} text {number}", f"{lang} head {number}"]


def write_pairs(folder: Path, lang: str, split: str, rows: Iterable[Row]) -> None:
    """As preprocess/ddtp.sh does."""
    folder.mkdir(parents=True, exist_ok=True)
    with lzma.open(folder / f"{lang}.{split}.tsv.xz", "wt", encoding="utf-8") as handle:
        handle.writelines("\t".join(each) + "\n" for each in rows)


def write_mono(folder: Path, lang: str, lines: Sequence[str]) -> None:
    """Monolingual text; its last 50 lines are held out."""
    folder.mkdir(parents=True, exist_ok=True)
    with lzma.open(folder / f"mono.{lang}.txt.xz", "wt", encoding="utf-8") as handle:
        handle.writelines(f"{line}\n" for line in lines)


def write(folder: Path, langs: Sequence[str] = ("en_XX", "fr_XX"), english: int = 40) -> Sources:
    """English pairs m0, m1, ...; validation and test in every language; no human pairs."""
    write_pairs(folder, "en_XX", "train", (row("en_XX", number) for number in range(english)))
    for lang in langs:
        for split, start in (("valid", 9000), ("test", 9100)):
            write_pairs(folder, lang, split, (row(lang, start + n) for n in range(3)))
        write_mono(folder, lang, [f"{lang} line {number}" for number in range(60)])
    return Sources(folder, folder)


def work(out: Path, sources: Sources, budget: Budget = SMALL, **more: Any) -> Work:
    """A run in `out` that has what is named."""
    place = Place(out, Path("examples/mini/model"), "laft_mbart_mini", cpu=True)
    return Work(budget, place, sources, Resources(**more))
