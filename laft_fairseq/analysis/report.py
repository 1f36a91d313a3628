"""All numbers of `laft tsne`: of two languages at one stage of representation."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from laft_fairseq.analysis import metrics
from laft_fairseq.analysis.latin_words import without_shared
from laft_fairseq.analysis.representations import (
    Floats,
    TokenSample,
    evenly_spaced_indices,
    represent,
)
from laft_fairseq.data.tagged_texts import TaggedTexts
from laft_fairseq.models.laft_mbart import LAFTMBart

Stages = Mapping[str, Floats]  # (n, d) by stage


@dataclass(frozen=True)
class Measured:
    """A model, sentences by language, and their representations."""

    model: LAFTMBart
    sentences: dict[str, TaggedTexts]
    indices: dict[str, list[int]]  # of the sentences that count
    states: dict[str, dict[str, Floats]]  # by language and stage, (n, d)
    samples: dict[str, TokenSample]  # empty where no tokens were asked for
    seed: int

    @classmethod
    def of(
        cls, model: LAFTMBart, sentences: dict[str, TaggedTexts], most: int, tokens: int, seed: int
    ) -> Measured:
        """Represent at most ``most`` sentences of each language, and ``tokens`` tokens of each."""
        indices, states = {}, {}
        samples = {tag: TokenSample(tokens, seed) for tag in sentences if tokens}
        for tag, available in sentences.items():
            indices[tag] = evenly_spaced_indices(len(available), most)
            print(f"{tag}: {len(indices[tag])} of {len(available)} sentences", file=sys.stderr)
            states[tag] = represent(model, available, indices[tag], sample=samples.get(tag))
        return cls(model, sentences, indices, states, samples, seed)


def measures(measured: Measured, parallel: bool, mask_latin: bool) -> dict[str, Any]:
    """Return the report of `laft tsne`, but for its command.

    It has a panel for the first language with each other one at each stage.

    Raises:
        LaftError: too few sentences, or none parallel where ``parallel`` says so.
    """
    first, *others = measured.sentences
    stages = list(measured.states[first])
    panels = []
    for other in others:
        pair = [first, other]
        masked = masked_retrieval(measured, pair) if mask_latin else {}
        for stage in stages:
            a, b = (measured.states[tag][stage] for tag in pair)
            groups = {first: a, other: b}
            panel: dict[str, Any] = {"langs": pair, "stage": stage}
            panel["silhouette"] = metrics.silhouette(groups)
            panel["probe"] = asdict(metrics.probe(groups, measured.seed))
            if measured.samples:
                samples = {tag: measured.samples[tag] for tag in pair}
                panel["token_probe"] = token_probe(samples, stage, measured.seed)
            if parallel:
                panel["retrieval"] = asdict(metrics.retrieval(a, b))
                panel["retrieval_centred"] = asdict(metrics.retrieval(a, b, centred=True))
            if masked:
                panel["retrieval_masked"] = masked[stage]
            panels.append(panel)
    encoder = measured.model.encoder
    return {
        "method": str(measured.model.options.method),
        "removal": str(encoder.removal),
        "control": measured.model.control or "",
        "d": int(encoder.embed_tokens.embedding_dim),
        "sentences": {tag: len(states["e"]) for tag, states in measured.states.items()},
        "stages": stages,
        "removed": removed_shares(measured.states),
        "panels": panels,
    }


def removed_shares(states: Mapping[str, Stages]) -> dict[str, float]:
    """Return the mean of ‖s_L‖ / ‖e_L‖ for each language; s_L is what r's mean lacks of e's."""
    shares = {}
    for tag, by_stage in states.items():
        if "r" in by_stage:
            norm = np.linalg.norm(by_stage["e"], axis=1)  # (n,)
            removed = np.linalg.norm(by_stage["e"] - by_stage["r"], axis=1)  # (n,)
            shares[tag] = float((removed[norm > 0] / norm[norm > 0]).mean())
    return shares


def token_probe(samples: Mapping[str, TokenSample], stage: str, seed: int) -> dict[str, Any]:
    """Return the probe by token; tokens of a sentence and of its translation are on one side."""
    tokens = {tag: sample.stage(stage) for tag, sample in samples.items()}
    owners = {tag: sample.sentences for tag, sample in samples.items()}
    accuracy = metrics.grouped_probe(tokens, owners, seed)
    return {**asdict(accuracy), "tokens": sum(map(len, tokens.values()))}


def masked_retrieval(measured: Measured, pair: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return, by stage, retrieval without the Latin words that both sentences of a pair hold."""
    first, second = (measured.sentences[tag] for tag in pair)
    dictionary, indices = measured.model.encoder.dictionary, measured.indices[pair[0]]
    sides, lost = without_shared(dictionary, first, second, indices)
    a, b = (represent(measured.model, side, range(len(indices))) for side in sides)
    left_out = dict(zip(pair, lost, strict=True))
    return {
        stage: {**asdict(metrics.retrieval(a[stage], b[stage])), "left_out": left_out}
        for stage in a
    }
