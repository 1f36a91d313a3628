"""Silhouette, retrieval, probe and t-SNE: numbers worked out by hand, and what is refused."""

from typing import Any

import numpy as np
import pytest

from laft_fairseq.analysis import metrics
from laft_fairseq.errors import LaftError


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def clouds(n: int, apart: float, d: int = 4) -> dict[str, np.ndarray]:
    """Two normal clouds of n points, `apart` along the first axis."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, n, d))
    b[:, 0] += apart
    return {"en_XX": a, "fr_XX": b}


def test_silhouette_by_hand() -> None:
    # Inner points are 9.5 away from the other language on average, outer ones 10.5; own mate 1.
    score = metrics.silhouette({"en_XX": column(0, 1), "fr_XX": column(10, 11)})
    assert score == pytest.approx((9.5 / 10.5 + 8.5 / 9.5) / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "forward", "backward"),
    [
        # a's nearest: b0, b1 (cosine .72 to .62 and .05), b1; b's nearest: a0, a2, a2.
        ([[1, 0], [0, 1], [1, 1]], [[2, 0.1], [3, 3.1], [5, 4]], 2 / 3, 2 / 3),
        # a's nearest: b0, b0, b2; b's nearest: a1, a2, a2.
        ([[1, 0], [1, 0.1], [0, 1]], [[1, 1], [1, 2], [0.1, 1]], 2 / 3, 1 / 3),
        # An empty sentence is all zero: nothing is near it.
        ([[0, 0], [0, 1]], [[1, 0], [0, 1]], 1, 1),
    ],
)
def test_retrieval_by_hand(
    a: list[list[float]], b: list[list[float]], forward: float, backward: float
) -> None:
    score = metrics.retrieval(np.array(a, dtype=float), np.array(b, dtype=float))
    assert (score["forward"], score["backward"]) == (
        pytest.approx(forward),
        pytest.approx(backward),
    )
    assert score["chance"] == pytest.approx(1 / len(a))


def test_centring_mends_a_shift_and_is_not_the_default() -> None:
    a = np.random.default_rng(1).normal(size=(50, 8))
    shifted = a * [0, 0, 1, 1, 1, 1, 1, 1] + [300, -200, 0, 0, 0, 0, 0, 0]
    plain, centred = metrics.retrieval(a, shifted), metrics.retrieval(a, shifted, centred=True)
    both = [score["forward"] + score["backward"] for score in (plain, centred)]
    assert both[0] < 1 < 1.8 < both[1]


def test_the_probe_sees_what_is_apart_and_nothing_else() -> None:
    assert metrics.probe(clouds(100, apart=12))["value"] == 1
    same = metrics.probe(clouds(400, apart=0))
    assert same["value"] == pytest.approx(0.5, abs=0.08)
    assert same["chance"] == 0.5
    assert abs(metrics.silhouette(clouds(200, apart=0))) < 0.02
    groups = clouds(30, apart=1)
    groups["fr_XX"] = groups["fr_XX"][:10]
    assert metrics.probe(groups)["chance"] == 0.75  # the commonest language


def test_tokens_of_one_sentence_are_on_one_side() -> None:
    """Sentences that are told apart by memory alone: each has its own place, on every token."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(2, 60, 150)) * 10  # language, sentence, d
    tokens, owners = {}, {}
    for tag, of_language in zip(("en_XX", "fr_XX"), places, strict=True):
        tokens[tag] = np.repeat(of_language, 5, axis=0) + rng.normal(size=(300, 150)) * 0.01
        owners[tag] = [number for number in range(60) for _ in range(5)]
    mixed = metrics.probe(tokens)  # by token: both halves hold every sentence
    score = metrics.grouped_probe(tokens, owners)
    assert mixed["value"] > 0.95
    assert score["value"] == pytest.approx(0.5, abs=0.15)
    assert score["chance"] == 0.5
    assert metrics.grouped_probe(clouds(300, apart=12), owners)["value"] == 1


def test_points_in_order_and_their_plane() -> None:
    points, labels = metrics.stack({"fr_XX": column(1), "en_XX": column(2, 3)})
    assert points[:, 0].tolist() == [1, 2, 3]
    assert labels.tolist() == ["fr_XX", "en_XX", "en_XX"]
    points = metrics.stack(clouds(10, apart=30))[0]
    first, perplexity = metrics.plane(points, seed=3)
    assert (first.shape, perplexity) == ((20, 2), 5)
    assert np.array_equal(first, metrics.plane(points, seed=3)[0])
    assert np.isfinite(first).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.silhouette({"en_XX": column(1, 2), "fr_XX": column(1)}), "fr_XX: 1 sent"),
        (lambda: metrics.probe({"en_XX": column(1, 2), "fr_XX": column(1)}), "fr_XX: 1 sentence"),
        (
            lambda: metrics.grouped_probe(clouds(2, 1), {"en_XX": [0, 0], "fr_XX": [1, 1]}),
            "2 sentences are too few to hold some back",
        ),
        (lambda: metrics.plane(np.zeros((7, 3))), "7 sentences are too few for t-SNE"),
    ],
)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(LaftError, match=message):
        call()
