"""Parallel retrieval on package descriptions whose shared names are left out."""

from __future__ import annotations

import lzma
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import regex
import sentencepiece as spm
import torch
from fairseq.data import ListDataset

from laft_fairseq.analysis.metrics import retrieval
from laft_fairseq.analysis.representations import Floats, represent
from laft_fairseq.data.tagged_texts import TaggedTexts
from laft_fairseq.errors import LaftError
from laft_fairseq.method.removal import Scaling, language_projection
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_task import LaftTask

# A name or a command, as scoring.language_id sees it in a text of another script.
LATIN_WORD = regex.compile(r"(?V1)[[\p{Latin}\p{N}\p{M}]--\p{Han}]+")

SCALINGS: tuple[Scaling, ...] = ("scaled", "projection")

Row = tuple[str, str]  # package with MD5 of the English text, which joins languages; description


def read_descriptions(folder: Path, tag: str) -> list[Row]:
    """Package with MD5, and description, of the test's rows, which lie in hash order.

    Raises:
        LaftError: neither `<tag>.test.tsv.xz` nor that of the language alone can be read.
    """
    paths = [folder / f"{name}.test.tsv.xz" for name in (tag, tag.split("_")[0])]
    path = next((path for path in paths if path.is_file()), paths[0])
    try:
        with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            rows = [line.rstrip("\n").split("\t") for line in lines]
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise LaftError(f"{path}: cannot be read ({error})") from None
    if not rows or any(len(row) != 4 for row in rows):
        raise LaftError(f"{path}: needs rows of package, MD5, description and synopsis")
    return [(f"{row[0]} {row[1]}", row[2]) for row in rows]


def without_shared(a: str, b: str) -> tuple[str, str, list[float]]:
    """Both texts without the Latin words that both hold; the share of its words each one lost."""
    words = [[word.casefold() for word in LATIN_WORD.findall(text)] for text in (a, b)]
    shared = set(words[0]) & set(words[1])
    lost = [sum(word in shared for word in own) / max(1, len(own)) for own in words]
    kept = [
        LATIN_WORD.sub(lambda word: " " if word[0].casefold() in shared else word[0], text)
        for text in (a, b)
    ]
    first, second = (" ".join(text.split()) for text in kept)
    return first, second, lost


def encode(
    pieces: spm.SentencePieceProcessor, task: LaftTask, texts: Sequence[str], tag: str
) -> TaggedTexts:
    """``X </s> [l]`` of raw texts."""
    dictionary = task.dictionary
    rows = [
        torch.tensor([*map(dictionary.index, own), dictionary.eos()])
        for own in pieces.encode(list(texts), out_type=str)
    ]
    listed = ListDataset(rows, [len(row) for row in rows])
    limit = task.cfg.max_source_positions
    return TaggedTexts(listed, task.tag_ids[tag], limit, f"descriptions in {tag}", task.layout)


def parallel(
    tags: Sequence[str], sides: Sequence[Sequence[Row]], count: int
) -> tuple[list[Row], list[Row]]:
    """The first rows that both languages have, each other's translations.

    Raises:
        LaftError: there are fewer than two.
    """
    # Packages of one text may go by several names, so the MD5 of the original tells.
    first, second = ({row[0].split()[-1]: row for row in side} for side in sides)
    shared = [md5 for md5 in first if md5 in second][:count]
    if len(shared) < 2:
        raise LaftError(f"descriptions: the tests of {tags[0]} and {tags[1]} share {len(shared)}")
    return [first[md5] for md5 in shared], [second[md5] for md5 in shared]


def after_removal(
    e: Sequence[Floats], components: Sequence[torch.Tensor], scaling: Scaling
) -> list[Floats]:
    """The mean over a text's tokens of r = e - s_L, which is e_L - s_L (section 3.1).

    Args:
        e: for each language e_L of n texts, (n, d).
        components: for each language c_L, (d, k).
        scaling: `scaled` or `projection`.
    """
    out = []
    for rows, c in zip(e, components, strict=True):
        e_L = torch.from_numpy(rows)  # (n, d)
        out.append((e_L - language_projection(e_L, c, scaling)).numpy())
    return out


def pair_retrieval(
    model: LAFTMBart,
    task: LaftTask,
    pieces: spm.SentencePieceProcessor,
    tags: Sequence[str],
    sides: Sequence[Sequence[Row]],
    components: Mapping[str, torch.Tensor] | None = None,
) -> dict[str, Any]:
    """Retrieval between two languages, by the encoder and by counts of pieces.

    With each language's c_L also after removal, under both scalings, means not centred.
    """
    stripped = [without_shared(a, b) for (_, a), (_, b) in zip(*sides, strict=True)]
    first, second, lost = zip(*stripped, strict=True)
    encoder, surface = [], []
    for tag, texts in zip(tags, (first, second), strict=True):
        tagged = encode(pieces, task, texts, tag)
        rows = range(len(tagged))
        encoder.append(represent(model, tagged, rows)["e"])
        size = len(task.dictionary)
        counts = [np.bincount(tagged.text(row)[:-1], minlength=size) for row in rows]
        surface.append(np.stack(counts).astype(np.float32))
    report: dict[str, Any] = {"pairs": len(stripped)}
    report["left_out"] = dict(zip(tags, np.mean(lost, axis=0).tolist(), strict=True))
    for name, (a, b) in (("encoder", encoder), ("surface", surface)):
        report[name] = asdict(retrieval(a, b))
        report[f"{name}_centred"] = asdict(retrieval(a, b, centred=True))
    if components is not None:
        chosen = [components[tag] for tag in tags]
        report["after_removal"] = {
            scaling: asdict(retrieval(*after_removal(encoder, chosen, scaling)))
            for scaling in SCALINGS
        }
    return report
