"""Parallel retrieval on package descriptions without the words that both languages share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import ListDataset
from torch import Tensor

from laft_fairseq.analysis.metrics import retrieval
from laft_fairseq.analysis.representations import Floats, represent
from laft_fairseq.data.tagged_texts import TaggedTexts
from laft_fairseq.errors import LaftError
from laft_fairseq.files import lines
from laft_fairseq.hub.raw_text import SubwordTokenizer
from laft_fairseq.method.removal import Scaling, language_projection
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.scoring.language_id import LATIN_WORD
from laft_fairseq.tasks.laft_task import LaftTask

SCALINGS: tuple[Scaling, ...] = ("scaled", "projection")


def read_descriptions(folder: Path, tag: str) -> dict[str, str]:
    """Returns the descriptions of the test split by the MD5 of their English original.

    Raises:
        LaftError: neither `<tag>.test.tsv.xz` nor that of the language alone can be read.
    """
    paths = [folder / f"{name}.test.tsv.xz" for name in (tag, tag.split("_")[0])]
    path = next((path for path in paths if path.is_file()), paths[0])
    rows = [line.split("\t") for line in lines(path)]
    if not rows or any(len(row) != 4 for row in rows):
        raise LaftError(f"{path}: needs rows of package, MD5, description and synopsis")
    # Packages of one description may have several names, so the MD5 of the original is the key.
    return {md5: description for _, md5, description, _ in rows}


def parallel(sides: Mapping[str, Mapping[str, str]], count: int) -> dict[str, list[str]]:
    """Returns the first `count` descriptions that two languages have, in the first one's order.

    Raises:
        LaftError: there are fewer than two.
    """
    first, second = sides.values()
    shared = [md5 for md5 in first if md5 in second][:count]
    if len(shared) < 2:
        raise LaftError(f"descriptions: the tests of {' and '.join(sides)} share {len(shared)}")
    return {tag: [side[md5] for md5 in shared] for tag, side in sides.items()}


def without_shared(a: str, b: str) -> tuple[str, str, list[float]]:
    """Returns both without the Latin words that both have, and what share of its words each lost.

    Words are compared without case.
    """
    words = [[word.casefold() for word in LATIN_WORD.findall(text)] for text in (a, b)]
    shared = set(words[0]) & set(words[1])
    lost = [sum(word in shared for word in each) / max(1, len(each)) for each in words]
    kept = [
        LATIN_WORD.sub(lambda word: " " if word[0].casefold() in shared else word[0], text)
        for text in (a, b)
    ]
    first, second = (" ".join(text.split()) for text in kept)
    return first, second, lost


def after_removal(
    e: Sequence[Floats], components: Sequence[Tensor], scaling: Scaling
) -> list[Floats]:
    """Returns e_L - s_L (section 3.1), the mean of r over each sentence's tokens.

    Args:
        e: for each language e_L of n sentences, (n, d).
        components: for each language c_L, (d, k).
        scaling: `scaled` or `projection`.
    """
    means = [torch.from_numpy(rows) for rows in e]  # (n, d)
    return [
        (e_L - language_projection(e_L, c, scaling)).numpy()
        for e_L, c in zip(means, components, strict=True)
    ]


def pair_retrieval(
    model: LAFTMBart,
    task: LaftTask,
    tokenizer: SubwordTokenizer,
    sides: Mapping[str, Sequence[str]],
    components: Mapping[str, Tensor] | None = None,
) -> dict[str, Any]:
    """Returns retrieval between two languages, by the encoder and by counts of subwords.

    Args:
        sides: for each language its descriptions, the same ones in the same order.
        components: for each language c_L, (d, k); retrieval is then measured after removal too,
            under both scalings, means not centred.
    """
    stripped = [without_shared(a, b) for a, b in zip(*sides.values(), strict=True)]
    first, second, lost = zip(*stripped, strict=True)
    encoder, surface = [], []
    for tag, descriptions in zip(sides, (first, second), strict=True):
        tokens = [tokenizer.encode(text) for text in descriptions]  # X </s>
        listed = ListDataset(tokens, [len(row) for row in tokens])
        limit, name = task.cfg.max_source_positions, f"descriptions in {tag}"
        tagged = TaggedTexts(listed, task.tag_ids[tag], limit, name, task.layout)
        rows = range(len(tagged))
        encoder.append(represent(model, tagged, rows)["e"])
        size = len(task.dictionary)
        counts = [np.bincount(tagged.text(row)[:-1], minlength=size) for row in rows]
        surface.append(np.stack(counts).astype(np.float32))
    report: dict[str, Any] = {"pairs": len(stripped)}
    report["left_out"] = dict(zip(sides, np.mean(lost, axis=0).tolist(), strict=True))
    for name, (a, b) in (("encoder", encoder), ("surface", surface)):
        report[name] = retrieval(a, b)
        report[f"{name}_centred"] = retrieval(a, b, centred=True)
    if components is not None:
        c = [components[tag] for tag in sides]
        report["after_removal"] = {
            scaling: retrieval(*after_removal(encoder, c, scaling)) for scaling in SCALINGS
        }
    return report
