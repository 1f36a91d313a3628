"""All numbers of `laft tsne` for two languages at one stage of representation."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from laft_fairseq.analysis import metrics as geometry
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
    """A model, texts by language, and their representations."""

    model: LAFTMBart
    texts: dict[str, TaggedTexts]
    rows: dict[str, list[int]]  # the texts that count
    states: dict[str, dict[str, Floats]]  # by language and stage, (n, d)
    samples: dict[str, TokenSample]  # empty where no tokens were asked for
    seed: int

    @classmethod
    def of(
        cls, model: LAFTMBart, texts: dict[str, TaggedTexts], most: int, tokens: int, seed: int
    ) -> Measured:
        """Represent at most ``most`` texts of each language, and ``tokens`` tokens of each text."""
        rows = {tag: evenly_spaced_indices(len(own), most) for tag, own in texts.items()}
        samples = {tag: TokenSample(tokens, seed) for tag in texts if tokens}
        states = {}
        for tag, own in texts.items():
            print(f"{tag}: {len(rows[tag])} of {len(own)} texts", file=sys.stderr)
            states[tag] = represent(model, own, rows[tag], sample=samples.get(tag))
        return cls(model, texts, rows, states, samples, seed)


def measures(found: Measured, parallel: bool, mask_latin: bool) -> dict[str, Any]:
    """The report of `laft tsne`, but for its command: a panel for the first language with each
    other one at each stage.

    Raises:
        LaftError: too few texts, or none parallel where ``parallel`` says so.
    """
    first, *others = found.texts
    stages = list(found.states[first])
    panels = []
    for other in others:
        pair = [first, other]
        masked = masked_retrieval(found, pair) if mask_latin else {}
        for stage in stages:
            groups = {tag: found.states[tag][stage] for tag in pair}
            numbers = {"langs": pair, "stage": stage, **separation(groups, found.seed)}
            if found.samples:
                numbers |= token_separation({t: found.samples[t] for t in pair}, stage, found.seed)
            if parallel:
                numbers |= retrieval(*groups.values())
            if masked:
                numbers["retrieval_masked"] = masked[stage]
            panels.append(numbers)
    encoder = found.model.encoder
    return {
        "method": str(found.model.options.method),
        "removal": str(encoder.removal),
        "control": found.model.control or "",
        "d": int(encoder.embed_tokens.embedding_dim),
        "sentences": {tag: len(own["e"]) for tag, own in found.states.items()},
        "stages": stages,
        "removed": removed_shares(found.states),
        "panels": panels,
    }


def removed_shares(states: Mapping[str, Stages]) -> dict[str, float]:
    """The mean of ‖s_L‖ / ‖e_L‖ for each language; s_L is what the mean of r lacks of e's."""
    shares = {}
    for tag, found in states.items():
        if "r" in found:
            norm = np.linalg.norm(found["e"], axis=1)  # (n)
            removed = np.linalg.norm(found["e"] - found["r"], axis=1)  # (n)
            shares[tag] = float((removed[norm > 0] / norm[norm > 0]).mean())
    return shares


def separation(groups: Mapping[str, Floats], seed: int) -> dict[str, Any]:
    """Silhouette, and the probe by sentence."""
    probed = geometry.probe(groups, seed)
    return {"silhouette": geometry.silhouette(groups).value, "probe": asdict(probed)}


def token_separation(samples: Mapping[str, TokenSample], stage: str, seed: int) -> dict[str, Any]:
    """The probe by token; tokens of one sentence, and of its translation, are on one side."""
    tokens = {tag: sample.stage(stage) for tag, sample in samples.items()}
    owners = {tag: sample.sentences for tag, sample in samples.items()}
    probed = geometry.grouped_probe(tokens, owners, seed)
    return {"token_probe": {**asdict(probed), "tokens": sum(map(len, tokens.values()))}}


def retrieval(a: Floats, b: Floats) -> dict[str, Any]:
    """Retrieval, means not centred and centred."""
    centred = geometry.retrieval(a, b, centred=True)
    return {"retrieval": asdict(geometry.retrieval(a, b)), "retrieval_centred": asdict(centred)}


def masked_retrieval(found: Measured, pair: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By stage, retrieval without the Latin words that both sides of a pair of texts hold."""
    first, second = (found.texts[tag] for tag in pair)
    dictionary, rows = found.model.encoder.dictionary, found.rows[pair[0]]
    sides, lost = without_shared(dictionary, first, second, rows)
    states = [represent(found.model, side, range(len(rows))) for side in sides]
    left_out = dict(zip(pair, lost, strict=True))
    return {
        stage: {**asdict(geometry.retrieval(a, states[1][stage])), "left_out": left_out}
        for stage, a in states[0].items()
    }
