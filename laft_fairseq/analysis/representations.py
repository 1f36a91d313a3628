"""Sentence representations of a data-bin split: what the encoder's side makes of each text.

A sentence's representation is the mean over the text's own tokens, as e_L is of e: of the
output of the mBART encoder (e), after removal (r), after fusion. Without noise, in eval, fp32.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from fairseq.data import Dictionary, data_utils
from numpy.typing import NDArray
from torch import Tensor

from laft_fairseq.data.tagged_texts import TaggedTexts, load_texts
from laft_fairseq.errors import LaftError
from laft_fairseq.method.removal import sentence_mean
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_task import LaftTask

STAGES = ("e", "r", "fused")
MAX_TOKENS = 8192  # of a batch, padding included

Floats = NDArray[np.float32]


def read_lines(task: LaftTask, tag: str, split: str) -> TaggedTexts:
    """The tagged texts of a language: the sources of its pairs, else its monolingual text.

    Raises:
        LaftError: an unknown language; no such data, or damaged data.
    """
    task.checked(tag, "--langs")
    monolingual = os.path.join(task.cfg.data, tag, split)
    pairs = f"{monolingual}.src-tgt.src"
    found = [prefix for prefix in (pairs, monolingual) if os.path.exists(f"{prefix}.idx")]
    if not found:
        raise LaftError(
            f"{pairs}.idx: no {split} texts for language {tag}, nor {monolingual}.idx; "
            "binarise them, or choose another --split"
        )
    texts = load_texts(found[0], task.dictionary, tag)
    limit = task.cfg.max_source_positions
    return TaggedTexts(texts, task.tag_ids[tag], limit, found[0], task.layout)


def evenly_spaced_indices(available: int, wanted: int) -> list[int]:
    """At most ``wanted`` of ``available`` rows in order, evenly spread: the same for every language
    of parallel data, and not all from one corner of a sorted file."""
    if available <= wanted:
        return list(range(available))
    return [row * available // wanted for row in range(wanted)]


class TokenSample:
    """At most ``per_text`` tokens of each text's own, drawn without replacement, at every stage.

    The draw depends on the seed and the text's place alone, not on batches.
    """

    def __init__(self, per_text: int, seed: int) -> None:
        self.per_text, self.seed = per_text, seed
        self._found: dict[str, dict[int, Floats]] = {}

    def add(self, places: Sequence[int], states: dict[str, Tensor], text_mask: Tensor) -> None:
        """Draw from the batch of texts at ``places``: states (T, B, d), mask (B, T)."""
        for column, place in enumerate(places):
            own = text_mask[column].nonzero().squeeze(1).cpu().numpy()
            rng = np.random.default_rng([self.seed, place])
            drawn = np.sort(rng.permutation(len(own))[: self.per_text])
            for stage, state in states.items():
                values = state[own[drawn], column].float().cpu().numpy()  # (n, d)
                self._found.setdefault(stage, {})[place] = values

    def stage(self, stage: str) -> Floats:
        """(n, d) fp32, the texts in order."""
        found = self._found[stage]
        return np.concatenate([found[place] for place in sorted(found)])

    @property
    def sentences(self) -> list[int]:
        """The place of each token's text, for the rows of :meth:`stage`."""
        found = next(iter(self._found.values()))
        return [place for place in sorted(found) for _ in found[place]]


def represent(
    model: LAFTMBart,
    texts: TaggedTexts,
    rows: Sequence[int],
    max_tokens: int = MAX_TOKENS,
    sample: TokenSample | None = None,
) -> dict[str, Floats]:
    """Each stage's representations of ``rows`` of ``texts``, in the order of ``rows``.

    ``sample`` is given each batch's tokens too.

    Returns:
        ``e``, ``r`` and ``fused``, (n, d) fp32 each; ``e`` alone where the model's method has no
        task module. A text without tokens of its own is a row of zeros.

    Raises:
        LaftError: the model lacks components of the language.
    """
    dictionary: Dictionary = model.encoder.dictionary
    device = model.encoder.embed_tokens.weight.device
    out: dict[str, Floats] = {}
    for places in _batches([texts.num_tokens(row) for row in rows], max_tokens):
        batch = [texts[rows[place]] for place in places]
        tokens = data_utils.collate_tokens(batch, dictionary.pad(), left_pad=True)  # (B, T)
        states, mask = _states(model, tokens.to(device))
        if sample is not None:
            sample.add(places, states, mask)
        for stage, state in states.items():
            means = sentence_mean(state, mask)  # (B, d)
            table = out.setdefault(stage, np.zeros((len(rows), means.size(1)), np.float32))
            table[places] = means.cpu().numpy()
    return out


def _batches(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Places of ``lengths``, similar lengths together, at most ``max_tokens`` with the padding."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > max_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@torch.inference_mode()
def _states(model: LAFTMBart, tokens: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """(B, T) tokens -> (T, B, d) for every stage, and (B, T) True at the text's own tokens."""
    if model.training:
        raise ValueError("representations are those of a model in eval")
    encoder = model.encoder
    out = encoder.forward_backbone(tokens, None)
    states = {"e": out["encoder_out"][0]}  # (T, B, d)
    if encoder.task_module is not None:
        found = encoder.representations(tokens, out)
        states |= {"r": found.r, "fused": found.fused}
    return states, encoder.language_tags.text_mask(tokens)
