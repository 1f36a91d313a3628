"""All numbers of `laft tsne`: of two languages at one stage of representation."""

import sys
from collections.abc import Mapping, Sequence
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
from laft_fairseq.progress import progress

States = dict[str, dict[str, Floats]]  # by language and stage, (n, d)


def measures(
    model: LAFTMBart,
    sentences: Mapping[str, TaggedTexts],
    most: int,
    tokens: int,
    seed: int,
    parallel: bool,
    mask_latin: bool,
) -> tuple[dict[str, Any], States]:
    """Return the report of `laft tsne`, but for its command, and what it was measured on.

    It has a panel for the first language with each other one at each stage.

    Args:
        model: in eval.
        sentences: by language.
        most: sentences of each language that are represented, at most.
        tokens: of each of them, for the probe by token; 0: none.
        seed: of draws and probes.
        parallel: whether sentences of one number are translations; adds retrieval.
        mask_latin: adds retrieval without the Latin words that both sides share.
    """
    indices, states = {}, {}
    samples = {tag: TokenSample(tokens, seed) for tag in sentences if tokens}
    for tag, available in sentences.items():
        indices[tag] = evenly_spaced_indices(len(available), most)
        print(f"{tag}: {len(indices[tag])} of {len(available)} sentences", file=sys.stderr)
        states[tag] = represent(model, available, indices[tag], sample=samples.get(tag))
    first, *others = sentences
    panels = []
    bar = progress("measures", len(others) * len(states[first]), "panels")
    for other in others:
        pair = [first, other]
        if mask_latin:
            masked = _masked_retrieval(model, {t: sentences[t] for t in pair}, indices[first])
        for stage in states[first]:
            a, b = (states[tag][stage] for tag in pair)
            groups = {first: a, other: b}
            panel: dict[str, Any] = {"langs": pair, "stage": stage}
            panel["silhouette"] = metrics.silhouette(groups)
            panel["probe"] = metrics.probe(groups, seed)
            if tokens:
                # Tokens of a sentence and of its translation are on one side.
                drawn = {tag: samples[tag].stage(stage) for tag in pair}
                owners = {tag: samples[tag].sentences for tag in pair}
                panel["token_probe"] = {
                    **metrics.grouped_probe(drawn, owners, seed),
                    "tokens": sum(map(len, drawn.values())),
                }
            if parallel:
                panel["retrieval"] = metrics.retrieval(a, b)
                panel["retrieval_centred"] = metrics.retrieval(a, b, centred=True)
            if mask_latin:
                panel["retrieval_masked"] = masked[stage]
            panels.append(panel)
            bar.update()
    bar.close()
    report = {
        "method": str(model.options.method),
        "removal": str(model.encoder.removal),
        "control": model.control or "",
        "d": int(model.encoder.embed_tokens.embedding_dim),
        "sentences": {tag: len(by_stage["e"]) for tag, by_stage in states.items()},
        "stages": list(states[first]),
        "removed": removed_shares(states),
        "panels": panels,
    }
    return report, states


def removed_shares(states: States) -> dict[str, float]:
    """Return the mean of ‖s_L‖ / ‖e_L‖ for each language; s_L is what r's mean lacks of e's."""
    shares = {}
    for tag, by_stage in states.items():
        if "r" in by_stage:
            norm = np.linalg.norm(by_stage["e"], axis=1)  # (n,)
            removed = np.linalg.norm(by_stage["e"] - by_stage["r"], axis=1)  # (n,)
            shares[tag] = float((removed[norm > 0] / norm[norm > 0]).mean())
    return shares


def _masked_retrieval(
    model: LAFTMBart, pair: Mapping[str, TaggedTexts], indices: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """Return, by stage, retrieval without the Latin words that both sentences of a pair hold."""
    first, second = pair.values()
    sides, lost = without_shared(model.encoder.dictionary, first, second, indices)
    a, b = (represent(model, side, range(len(indices))) for side in sides)
    left_out = dict(zip(pair, lost, strict=True))
    return {stage: {**metrics.retrieval(a[stage], b[stage]), "left_out": left_out} for stage in a}
