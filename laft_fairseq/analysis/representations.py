"""Sentence representations of a data-bin split, at each stage of the encoder.

A sentence's representation is the mean over its own tokens, as e_L is of e: of the
output of the mBART encoder (e), after removal (r), after fusion. Without noise, in eval, fp32.
"""

import os
from collections.abc import Sequence

import numpy as np
import torch
from fairseq.data import Dictionary, data_utils
from numpy.typing import NDArray
from torch import Tensor

from laft_fairseq.data.tagged_texts import TaggedTexts
from laft_fairseq.errors import LaftError
from laft_fairseq.method.removal import sentence_mean
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.progress import progress
from laft_fairseq.tasks.laft_task import LaftTask

MAX_TOKENS = 8192  # of a batch, padding included

Floats = NDArray[np.float32]


def read_lines(task: LaftTask, tag: str, split: str) -> TaggedTexts:
    """Return the sentences of a language: the sources of its pairs, else its monolingual text.

    Raises:
        LaftError: an unknown language; no such data, or damaged data.
    """
    task.checked(tag, "--langs")
    monolingual = os.path.join(task.cfg.data, tag, split)
    pairs = f"{monolingual}.src-tgt.src"
    prefix = next((p for p in (pairs, monolingual) if os.path.exists(f"{p}.idx")), None)
    if prefix is None:
        raise LaftError(
            f"{pairs}.idx: no {split} texts for language {tag}, nor {monolingual}.idx; "
            "binarise them, or choose another --split"
        )
    return task.read(prefix, tag, task.cfg.max_source_positions)


def evenly_spaced_indices(available: int, wanted: int) -> list[int]:
    """Return at most ``wanted`` of ``available`` indices in order, evenly spread.

    They are the same for every language of parallel data, and not all from one corner of a sorted
    file.
    """
    wanted = min(wanted, available)
    return [number * available // wanted for number in range(wanted)]


class TokenSample:
    """At most ``per_sentence`` tokens of each sentence, drawn without replacement, at every stage.

    The draw depends on the seed and the sentence's place alone, not on batches.
    """

    def __init__(self, per_sentence: int, seed: int) -> None:
        self.per_sentence, self.seed = per_sentence, seed
        self._drawn: dict[str, dict[int, Floats]] = {}  # by stage and place, (n, d)

    def add(self, places: Sequence[int], states: dict[str, Tensor], text_mask: Tensor) -> None:
        """Draw from the batch of sentences at ``places``: states (T, B, d), mask (B, T)."""
        for column, place in enumerate(places):
            tokens = text_mask[column].nonzero().squeeze(1).cpu().numpy()  # (t,)
            rng = np.random.default_rng([self.seed, place])
            drawn = np.sort(rng.permutation(len(tokens))[: self.per_sentence])
            for stage, state in states.items():
                values = state[tokens[drawn], column].float().cpu().numpy()  # (n, d)
                self._drawn.setdefault(stage, {})[place] = values

    def stage(self, stage: str) -> Floats:
        """(n, d) fp32, the sentences in order."""
        return np.concatenate([values for _, values in sorted(self._drawn[stage].items())])

    @property
    def sentences(self) -> list[int]:
        """The place of each token's sentence, in the order of :meth:`stage`."""
        drawn = next(iter(self._drawn.values()))
        return [place for place in sorted(drawn) for _ in drawn[place]]


def represent(
    model: LAFTMBart,
    sentences: TaggedTexts,
    indices: Sequence[int],
    max_tokens: int = MAX_TOKENS,
    sample: TokenSample | None = None,
) -> dict[str, Floats]:
    """Return each stage's representations of ``sentences`` at ``indices``, in their order.

    ``sample`` is given each batch's tokens too.

    Returns:
        ``e``, ``r`` and ``fused``, (n, d) fp32 each; ``e`` alone where the model's method has no
        task module. A sentence without tokens of its own is all zero.
    """
    dictionary: Dictionary = model.encoder.dictionary
    device = model.encoder.embed_tokens.weight.device
    lengths = np.array([sentences.num_tokens(index) for index in indices])
    order = np.argsort(-lengths, kind="stable")  # places in `indices`, similar lengths together
    means: dict[str, Floats] = {}
    batches = data_utils.batch_by_size(
        order, lengths.__getitem__, max_tokens=max(max_tokens, *lengths)
    )
    bar = progress(sentences.name, len(indices), "sentences")
    for places in batches:
        batch = [sentences[indices[place]] for place in places]
        tokens = data_utils.collate_tokens(batch, dictionary.pad(), left_pad=True)  # (B, T)
        states, mask = _states(model, tokens.to(device))
        if sample is not None:
            sample.add(places, states, mask)
        for stage, state in states.items():
            of_batch = sentence_mean(state, mask)  # (B, d)
            means.setdefault(stage, np.zeros((len(indices), of_batch.size(1)), np.float32))
            means[stage][places] = of_batch.cpu().numpy()
        bar.update(len(places))
    bar.close()
    return means


@torch.inference_mode()
def _states(model: LAFTMBart, tokens: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """(B, T) tokens -> (T, B, d) for every stage, and (B, T) True at each sentence's own tokens."""
    encoder = model.encoder
    out = encoder.forward_backbone(tokens, None)
    states = {"e": out["encoder_out"][0]}  # (T, B, d)
    if encoder.task_module is not None:
        representations = encoder.representations(tokens, out)
        states |= {"r": representations.r, "fused": representations.fused}
    return states, encoder.language_tags.text_mask(tokens)
