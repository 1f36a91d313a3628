"""How much of its language a sentence representation shows, in three numbers.

Each is a function of (n, d) arrays, in the full width d and not of the plane of a figure:
silhouette of the languages (Rousseeuw 1987), accuracy of parallel retrieval, accuracy of a
linear probe of the language. An agnostic representation has a silhouette near 0, a probe near
chance and, if it still carries the meaning, a high retrieval.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laft_fairseq.errors import LaftError

Array = NDArray[Any]


def stack(groups: Mapping[str, Array]) -> tuple[Array, Array]:
    """(n_l, d) of each language -> all of them (n, d), and the language of each (n,)."""
    labels = np.repeat(list(groups), [len(points) for points in groups.values()])
    return np.concatenate(list(groups.values())), labels


def silhouette(groups: Mapping[str, Array]) -> float:
    """Return the mean silhouette of the languages as clusters, with Euclidean distances.

    1: each language far off by itself; 0: languages lie within each other.

    Raises:
        LaftError: a language of fewer than two sentences.
    """
    _check(groups)
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(*stack(groups)))


def retrieval(a: Array, b: Array, centred: bool = False) -> dict[str, float]:
    """Return how often a sentence's nearest one by cosine in the other language translates it.

    Args:
        a: (n, d), sentence i a translation of sentence i of ``b``.
        b: (n, d).
        centred: subtract each language's mean first. The default does not: that would do the
            removal's work for it. Identical sentences of one file tie; the first one is taken.

    Returns:
        `forward`, where a's sentences look among b's, `backward`, and `chance`, 1 / n.
    """
    from sklearn.metrics.pairwise import cosine_similarity

    if centred:
        a, b = a - a.mean(0), b - b.mean(0)
    similarity = cosine_similarity(a, b)  # (n, n)
    itself = np.arange(len(a))
    forward = float((similarity.argmax(1) == itself).mean())
    backward = float((similarity.argmax(0) == itself).mean())
    return {"forward": forward, "backward": backward, "chance": 1 / len(a)}


def probe(groups: Mapping[str, Array], seed: int = 1) -> dict[str, float]:
    """Return the accuracy of a linear classifier of the language, on the half it did not see.

    It is a logistic regression of features that are standardised on the training half.

    Returns:
        `value`, and `chance`, the share of the commonest language in the other half.

    Raises:
        LaftError: a language of fewer than two sentences.
    """
    _check(groups)
    from sklearn.model_selection import train_test_split

    points, labels = stack(groups)
    numbers = np.arange(len(labels))
    train, test = train_test_split(numbers, test_size=0.5, random_state=seed, stratify=labels)
    return _accuracy(points, labels, train, test)


def grouped_probe(
    groups: Mapping[str, Array], owners: Mapping[str, Sequence[int]], seed: int = 1
) -> dict[str, float]:
    """:func:`probe` of tokens: half of the sentences train it, the others' tokens test it.

    Args:
        groups: by language, (n, d) tokens.
        owners: by language, the number of each token's sentence. A number is on one side in every
            language, so that a sentence and its translation do not face each other either.
        seed: of the division.

    Raises:
        LaftError: as :func:`probe`, or too few sentences to have both languages on both sides.
    """
    _check(groups)
    points, labels = stack(groups)
    owner = np.concatenate([owners[tag] for tag in groups])  # (n,)
    numbers = np.unique(owner)
    training = np.random.default_rng(seed).permutation(numbers)[: (len(numbers) + 1) // 2]
    train = np.isin(owner, training)
    if any(len(set(labels[side])) < len(groups) for side in (train, ~train)):
        raise LaftError(f"{len(numbers)} sentences are too few to hold some back from the probe")
    return _accuracy(points, labels, train, ~train)


def _accuracy(points: Array, labels: Array, train: Array, test: Array) -> dict[str, float]:
    """Return the accuracy on ``test`` of a classifier of ``train``, both indices or masks."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    points = points.astype(np.float64)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(points[train], labels[train])
    commonest = np.unique(labels[test], return_counts=True)[1].max()
    value = float(model.score(points[test], labels[test]))
    return {"value": value, "chance": float(commonest / len(labels[test]))}


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


def _check(groups: Mapping[str, Array]) -> None:
    for tag, points in groups.items():
        if len(points) < 2:
            raise LaftError(f"language {tag}: {len(points)} sentence(s) are too few to compare")
