"""Held-out text under masks: how well a backbone restores it, and in which language."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from fairseq.data import data_utils
from numpy.typing import NDArray
from torch import Tensor

from laft_fairseq.data.infilling import WORD_START, InfillingDataset, seeded
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.scoring.fairseq_log import join_subwords
from laft_fairseq.scoring.language_id import right_language
from laft_fairseq.scoring.rouge import rouge_items
from laft_fairseq.tasks.laft_denoising import LaftDenoising, LaftDenoisingOptions
from laft_fairseq.tasks.laft_task import LaftTask

MAX_TOKENS = 2048  # of a batch
BEAM = 5
SAMPLES = 3  # a language
SEED = 1  # of the noise, as in pretrain.sh

Floats = NDArray[np.float64]


def validation(
    data: str, model: LAFTMBart, langs: Sequence[str] | None = None
) -> tuple[LaftTask, dict[str, InfillingDataset]]:
    """Returns stage 1's task, and each language's validation sentences with their fixed noise."""
    source, target = model.max_positions()
    options = LaftDenoisingOptions(data=data, seed=SEED)
    options.max_source_positions = min(source, options.max_source_positions)
    options.max_target_positions = min(target, options.max_target_positions)
    options.train_langs = ",".join(langs) if langs else None
    task = LaftDenoising.setup_task(options)
    task.load_dataset("valid")
    return task, dict(zip(task.train_langs(), task.datasets["valid"].datasets, strict=True))


def batches(data: InfillingDataset, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yields collated batches of ``rows``, similar lengths together."""
    by_size = np.asarray(sorted(rows, key=data.num_tokens), dtype=np.int64)
    for batch in data_utils.batch_by_size(by_size, data.num_tokens, max_tokens=MAX_TOKENS):
        yield data.collater([data[int(row)] for row in batch])


def hidden_tokens(data: InfillingDataset, row: int) -> Tensor:
    """Returns (t,) bool: which tokens of ``X </s>`` this row's noise puts under a mask.

    The noise depends on positions and word starts alone: applied again to the positions in place
    of the tokens, it leaves the positions that stay visible.
    """
    text = data.dataset.text(row)
    framed = torch.cat([text.new_tensor([data.dictionary.bos()]), text])
    noise = copy.copy(data.noise)
    noise.mask_whole_word = data.noise.mask_whole_word[framed]  # by position
    noise.mask_idx = len(framed)  # a position that the sentence does not have
    with seeded(data.seed, data.epoch, data.dataset.tag_id, row):
        visible = noise.add_whole_word_mask(torch.arange(len(framed)), noise.mask_ratio)
    hidden = torch.ones(len(framed) + 1, dtype=torch.bool)
    hidden[visible] = False
    return hidden[1:-1]


def unigram(texts: Any, entries: int) -> Floats:
    """Returns (V,) log-probabilities: shares of ``texts``, ``</s>`` counted, add-one smoothed."""
    counts = np.ones(entries)
    for start in range(0, len(texts), 10_000):
        rows = range(start, min(start + 10_000, len(texts)))
        counts += np.bincount(np.concatenate([texts[row] for row in rows]), minlength=entries)
    return np.log(counts / counts.sum())


@torch.inference_mode()
def denoising(
    model: LAFTMBart, data: InfillingDataset, rows: Sequence[int], filler: Floats
) -> dict[str, Any]:
    """Returns a language's perplexities under the model and under a unigram filler."""
    parts = []
    for sample in batches(data, rows):
        output = model(**sample["net_input"])
        scores = model.get_normalized_probs(output, log_probs=True)  # (B, T, V)
        scores = scores.gather(2, sample["target"].unsqueeze(2)).squeeze(2)  # (B, T)
        for place, row in enumerate(sample["id"].tolist()):
            tokens = data.dataset.text(row).numpy()  # (t,) X </s>; the target's tag comes after it
            by_model = scores[place, : len(tokens)].double().numpy()
            parts.append(np.stack([by_model, filler[tokens], hidden_tokens(data, row).numpy()]))
    by_model, by_filler, hidden = np.concatenate(parts, axis=1)
    report: dict[str, Any] = {"texts": len(rows)}
    for name, chosen in (("all", hidden >= 0), ("hidden", hidden > 0)):
        report[name] = {
            "tokens": int(chosen.sum()),
            "perplexity": float(np.exp(-by_model[chosen].mean())),
            "unigram": float(np.exp(-by_filler[chosen].mean())),
        }
    return report


def raw_text(task: LaftTask, tokens: Tensor, masks: bool = False) -> str:
    """Returns raw text of tokens, without tag and padding; with ``<mask>`` if asked for."""
    ignored = {task.dictionary.pad(), *task.tag_ids.values()}
    if not masks:
        ignored.add(task.dictionary.index(MASK))
    subwords = task.dictionary.string(tokens, extra_symbols_to_ignore=ignored)
    return join_subwords(subwords.replace(MASK, f"{WORD_START}{MASK}"))


def reconstruction(
    model: LAFTMBart, task: LaftTask, data: InfillingDataset, tag: str, rows: Sequence[int],
    langs: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Restores noised sentences and compares them with the originals.

    The language is identified among ``langs``.
    """
    search = argparse.Namespace(beam=BEAM, lenpen=1.0, max_len_a=2, max_len_b=10)
    generator = task.build_generator([model], search)
    outputs: dict[int, str] = {}
    for sample in batches(data, rows):
        hypotheses = task.inference_step(generator, [model], sample)
        for row, best in zip(sample["id"].tolist(), hypotheses, strict=True):
            outputs[row] = raw_text(task, best[0]["tokens"])
    restored = [outputs[row] for row in rows]
    originals = [raw_text(task, data.dataset.text(row)) for row in rows]
    sources = [data[row]["source"] for row in rows]
    visible = [raw_text(task, source) for source in sources]
    noised = [raw_text(task, source, masks=True) for source in sources]
    language, ceiling = (right_language(text, tag, list(langs)) for text in (restored, originals))
    rouge, rouge_visible = (
        float(rouge_items(text, originals, tag, metrics=["rougeL"])["rougeL"].mean())
        for text in (restored, visible)
    )
    samples = list(zip(noised, restored, originals, strict=True))[:SAMPLES]
    return {
        "texts": len(rows),
        "right_language": language.share,
        "right_language_originals": ceiling.share,
        "undecidable": language.undecidable,
        "undecidable_originals": ceiling.undecidable,
        "rougeL": rouge,
        "rougeL_visible": rouge_visible,
        "samples": [dict(zip(("noised", "restored", "original"), s, strict=True)) for s in samples],
    }
