"""Held-out text under masks: how well a backbone restores it, and in which language."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from laft_fairseq.data.infilling import WORD_START, InfillingDataset, seeded
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.scoring.fairseq_log import join_pieces
from laft_fairseq.scoring.language_id import right_language
from laft_fairseq.scoring.rouge import rouge_items
from laft_fairseq.tasks.laft_denoising import LaftDenoising, LaftDenoisingOptions
from laft_fairseq.tasks.laft_task import LaftTask

MAX_TOKENS = 2048  # of a batch
BEAM = 5
SAMPLES = 3  # a language

Floats = NDArray[np.float64]


def validation(
    data: str, model: LAFTMBart, seed: int, langs: Sequence[str] | None = None
) -> tuple[LaftTask, dict[str, InfillingDataset]]:
    """Stage 1's task, and the validation texts of languages (or all) with their fixed noise."""
    source, target = model.max_positions()
    options = LaftDenoisingOptions(data=data, seed=seed)
    options.max_source_positions = min(source, options.max_source_positions)
    options.max_target_positions = min(target, options.max_target_positions)
    options.train_langs = ",".join(langs) if langs else None
    task = LaftDenoising.setup_task(options)
    task.load_dataset("valid")
    return task, dict(zip(task.train_langs(), task.datasets["valid"].datasets, strict=True))


def batches(data: InfillingDataset, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Collated batches of ``rows``, similar lengths together."""
    by_size = np.asarray(sorted(rows, key=data.num_tokens), dtype=np.int64)
    for batch in data.batch_by_size(by_size, max_tokens=MAX_TOKENS):
        yield data.collater([data[int(row)] for row in batch])


def hidden_tokens(data: InfillingDataset, row: int) -> Tensor:
    """(t,) bool: which tokens of ``X </s>`` this row's noise puts under a mask.

    The noise goes by places and word starts alone: drawn again over the places in place of the
    tokens, it leaves the places that stay visible.
    """
    text = data.texts.text(row)
    framed = torch.cat([text.new_tensor([data.dictionary.bos()]), text])
    noise = copy.copy(data.noise)
    noise.mask_whole_word = data.noise.mask_whole_word[framed]  # by place
    noise.mask_idx = len(framed)  # a place that the text does not have
    with seeded(data.seed, data.epoch, data.texts.tag_id, row):
        left = noise.add_whole_word_mask(torch.arange(len(framed)), noise.mask_ratio)
    hidden = torch.ones(len(framed) + 1, dtype=torch.bool)
    hidden[left] = False
    return hidden[1:-1]


@torch.inference_mode()
def log_probabilities(
    model: LAFTMBart, data: InfillingDataset, rows: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:
    """Each row and (t,) log-probabilities of its tokens ``X </s>``."""
    for sample in batches(data, rows):
        output = model(**sample["net_input"])
        scores = model.get_normalized_probs(output, log_probs=True)  # (B, T, V)
        own = scores.gather(2, sample["target"].unsqueeze(2)).squeeze(2)  # (B, T)
        for place, row in enumerate(sample["id"].tolist()):
            yield row, own[place, : data.num_tokens(row) - 1]  # the tag is last


def unigram(texts: Any, entries: int) -> Floats:
    """(V,) log-probabilities: shares of ``texts``, ``</s>`` counted, add-one smoothed."""
    counts = np.ones(entries)
    for start in range(0, len(texts), 10_000):
        rows = range(start, min(start + 10_000, len(texts)))
        counts += np.bincount(np.concatenate([texts[row] for row in rows]), minlength=entries)
    return np.log(counts / counts.sum())


def denoising(
    model: LAFTMBart, data: InfillingDataset, rows: Sequence[int], filler: Floats
) -> dict[str, Any]:
    """Perplexities of a language under the model and the unigram filler."""
    parts = []
    for row, scores in log_probabilities(model, data, rows):
        own = filler[data.texts.text(row).numpy()]
        parts.append(np.stack([scores.double().numpy(), own, hidden_tokens(data, row).numpy()]))
    model_scores, filler_scores, hidden = np.concatenate(parts, axis=1)
    report: dict[str, Any] = {"texts": len(rows)}
    for name, chosen in (("all", hidden >= 0), ("hidden", hidden > 0)):
        report[name] = {
            "tokens": int(chosen.sum()),
            "perplexity": float(np.exp(-model_scores[chosen].mean())),
            "unigram": float(np.exp(-filler_scores[chosen].mean())),
        }
    return report


def text_of(task: LaftTask, tokens: Tensor, masks: bool = False) -> str:
    """Raw text of tokens, without tag and padding; with ``<mask>`` if asked for."""
    ignored = {task.dictionary.pad(), *task.tag_ids.values()}
    if not masks:
        ignored.add(task.dictionary.index(MASK))
    pieces = task.dictionary.string(tokens, extra_symbols_to_ignore=ignored)
    return join_pieces(pieces.replace(MASK, f"{WORD_START}{MASK}"))


def reconstruction(
    model: LAFTMBart, task: LaftTask, data: InfillingDataset, tag: str, rows: Sequence[int],
    langs: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Restore noised texts and compare them with the originals; identified among `langs`."""
    search = argparse.Namespace(beam=BEAM, lenpen=1.0, max_len_a=2, max_len_b=10)
    generator = task.build_generator([model], search)
    found: dict[int, str] = {}
    for sample in batches(data, rows):
        outputs = task.inference_step(generator, [model], sample)
        for row, output in zip(sample["id"].tolist(), outputs, strict=True):
            found[row] = text_of(task, output[0]["tokens"])
    restored = [found[row] for row in rows]
    originals = [text_of(task, data.texts.text(row)) for row in rows]
    noised = [data[row]["source"] for row in rows]
    visible = [text_of(task, source) for source in noised]
    shown = [text_of(task, source, masks=True) for source in noised]
    there, ceiling = (right_language(texts, tag, list(langs)) for texts in (restored, originals))
    own, floor = (
        float(rouge_items(texts, originals, tag, metrics=["rougeL"])["rougeL"].mean())
        for texts in (restored, visible)
    )
    triples = list(zip(shown, restored, originals, strict=True))[:SAMPLES]
    return {
        "texts": len(rows),
        "right_language": there.share,
        "right_language_originals": ceiling.share,
        "undecidable": there.undecidable,
        "undecidable_originals": ceiling.undecidable,
        "rougeL": own,
        "rougeL_visible": floor,
        "samples": [dict(zip(("noised", "restored", "original"), t, strict=True)) for t in triples],
    }
