"""How much of its language a sentence representation shows, in three numbers.

Each is a function of (n, d) arrays, in the full width d and not of the plane of a figure:
silhouette of the languages (Rousseeuw 1987), accuracy of parallel retrieval, accuracy of a
linear probe of the language. An agnostic representation has a silhouette near 0, a probe near
chance and, if it still carries the meaning, a high retrieval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laft_fairseq.errors import LaftError

Array = NDArray[Any]


@dataclass(frozen=True)
class Score:
    """A number between 0 and 1 (a silhouette: -1 and 1) and what chance gives."""

    value: float
    chance: float


@dataclass(frozen=True)
class Retrieval:
    """Accuracy of finding a sentence's translation, in both directions."""

    forward: float  # a's sentences look among b's
    backward: float
    chance: float  # 1 / n

    @property
    def value(self) -> float:
        """The mean of both directions."""
        return (self.forward + self.backward) / 2


def stack(groups: Mapping[str, Array]) -> tuple[Array, list[str]]:
    """(n_l, d) of each language -> all rows (n, d), and the language of each."""
    labels = [tag for tag, rows in groups.items() for _ in range(len(rows))]
    return np.concatenate([np.asarray(rows) for rows in groups.values()]), labels


def silhouette(groups: Mapping[str, Array]) -> Score:
    """Mean silhouette of the languages as clusters, with Euclidean distances.

    1: each language far off by itself; 0: languages lie within each other, which is chance.

    Raises:
        LaftError: fewer than two languages, or a language of fewer than two sentences.
    """
    _check(groups)
    from sklearn.metrics import silhouette_score

    points, labels = stack(groups)
    return Score(float(silhouette_score(points, labels)), 0.0)


def retrieval(a: Array, b: Array, centred: bool = False) -> Retrieval:
    """How often a sentence's nearest one by cosine in the other language is its translation.

    Args:
        a: (n, d), row i a translation of row i of ``b``.
        b: (n, d).
        centred: subtract each language's mean first. The default does not: that would do the
            removal's work for it. Identical sentences of one file tie; the first one is taken.

    Raises:
        LaftError: not as many rows on both sides, or none.
    """
    if a.shape != b.shape or len(a) == 0:
        raise LaftError(
            f"retrieval among {len(a)} and {len(b)} sentences: parallel texts are needed, "
            "line by line of one length"
        )
    if centred:
        a, b = a - a.mean(0), b - b.mean(0)
    similarity = _unit(a) @ _unit(b).T  # (n, n)
    own = np.arange(len(a))
    forward = float((similarity.argmax(1) == own).mean())
    backward = float((similarity.argmax(0) == own).mean())
    return Retrieval(forward, backward, 1 / len(a))


def probe(groups: Mapping[str, Array], seed: int = 1) -> Score:
    """Accuracy of a logistic regression that names the language, on the half it did not see.

    Features are standardised on the training half. Chance is the share of the commonest
    language in the other half.

    Raises:
        LaftError: fewer than two languages, or a language of fewer than two sentences.
    """
    _check(groups)
    from sklearn.model_selection import train_test_split

    points, labels = stack(groups)
    x, x_test, y, y_test = train_test_split(
        points.astype(np.float64), labels, test_size=0.5, random_state=seed, stratify=labels
    )
    model = _classifier().fit(x, y)
    chance = max(y_test.count(tag) for tag in set(y_test)) / len(y_test)
    return Score(float(model.score(x_test, y_test)), chance)


def grouped_probe(
    groups: Mapping[str, Array], owners: Mapping[str, Sequence[int]], seed: int = 1
) -> Score:
    """:func:`probe` of tokens: half of the sentences train it, the others' tokens test it.

    Args:
        groups: by language, (n, d) tokens.
        owners: by language, the number of each token's sentence. A number is on one side in every
            language, so that a sentence and its translation do not face each other either.

    Raises:
        LaftError: as :func:`probe`, or too few sentences to have both languages on both sides.
    """
    _check(groups)
    points, labels = stack(groups)
    owner = np.concatenate([np.asarray(owners[tag]) for tag in groups])  # (n)
    numbers = np.unique(owner)
    trains = np.random.default_rng(seed).permutation(numbers)[: (len(numbers) + 1) // 2]
    train, names = np.isin(owner, trains), np.asarray(labels)
    if any(len(set(names[side])) < len(groups) for side in (train, ~train)):
        raise LaftError(f"{len(numbers)} sentences are too few to hold some back from the probe")
    model = _classifier().fit(points[train].astype(np.float64), names[train])
    held_out = names[~train].tolist()
    chance = max(held_out.count(tag) for tag in groups) / len(held_out)
    return Score(float(model.score(points[~train].astype(np.float64), held_out)), chance)


def _classifier() -> Any:
    """Logistic regression on standardised features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def plane(points: Array, seed: int = 1) -> tuple[Array, float]:
    """t-SNE of (n, d) from its principal components -> (n, 2), and the perplexity, min(30, n/4).

    Raises:
        LaftError: fewer than eight points.
    """
    if len(points) < 8:
        raise LaftError(
            f"{len(points)} sentences are too few for t-SNE: give at least 4 a language"
        )
    from sklearn.manifold import TSNE

    perplexity = min(30.0, len(points) / 4)
    method = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    return np.asarray(method.fit_transform(points.astype(np.float64))), perplexity


def _check(groups: Mapping[str, Sequence[Any] | Array]) -> None:
    if len(groups) < 2:
        raise LaftError(
            f"languages are compared: two are needed, got {', '.join(groups) or 'none'}"
        )
    for tag, rows in groups.items():
        if len(rows) < 2:
            raise LaftError(f"language {tag}: {len(rows)} sentence(s) are too few to compare")


def _unit(rows: Array) -> Array:
    """(n, d) -> rows of length 1; zero rows stay zero."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)  # (n, 1)
    return rows / np.where(norm > 0, norm, 1)
