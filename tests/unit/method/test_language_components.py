"""Section 3.1 against independent numpy and scipy computations."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.linalg import subspace_angles

from laft_fairseq.errors import LaftError
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import (
    SCALINGS,
    language_projection,
    mean_vector,
    remove,
    sentence_mean,
)

N, D, K = 500, 64, 6
BY_COMPONENTS = [scaling for scaling in SCALINGS if scaling != "mean"]


def largest_sine(c1: torch.Tensor, c2: torch.Tensor) -> float:
    """The distance of two subspaces, (d, k) each, by scipy: 0 for the same span, at most 1."""
    return float(np.sin(subspace_angles(c1.double().numpy(), c2.double().numpy())[0]))


def sentences(seed, n=N, d=D, mean=1.0):
    """Return M_L (n, d) fp32: directions of falling strength around a common mean."""
    generator = np.random.default_rng(seed)
    strength = np.geomspace(3, 0.1, d)
    common = mean * generator.standard_normal(d)
    return torch.tensor(common + generator.standard_normal((n, d)) * strength).float()


def estimate(rows, sizes=None):
    """Return the statistics of the rows, given in batches of these sizes or at once."""
    statistics = ComponentStatistics.zeros(rows.shape[1])
    for batch in rows.split(sizes or [len(rows)]):
        statistics.update(batch)
    return statistics


def right_singular_vectors(rows, k=K):
    _, values, vectors = scipy.linalg.svd(rows.double().numpy(), full_matrices=False)
    return torch.tensor(vectors[:k].T), values  # (d, k)


def orthonormal(seed, d=D, k=K):
    return torch.tensor(np.linalg.qr(np.random.default_rng(seed).standard_normal((d, k)))[0])


# --- e_L ---------------------------------------------------------------------------------


def test_sentence_mean_by_hand():
    encoder_out = torch.tensor(
        [  # (T=3, B=3, d=2)
            [[1.0, 2.0], [9.0, 9.0], [5.0, 5.0]],
            [[3.0, 6.0], [4.0, -4.0], [5.0, 5.0]],
            [[9.0, 9.0], [float("nan"), float("inf")], [5.0, 5.0]],
        ]
    )
    text_mask = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]]).bool()  # (B, T)
    expected = torch.tensor([[2.0, 4.0], [4.0, -4.0], [0.0, 0.0]])
    assert torch.equal(sentence_mean(encoder_out, text_mask), expected)


@pytest.mark.parametrize("left", [True, False])
def test_sentence_mean_does_not_depend_on_padding(left):
    encoder_out = torch.randn(5, 1, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, 5).bool()
    padding, off = torch.full((3, 1, 8), 1e6), torch.zeros(1, 3).bool()
    order = slice(None, None, -1) if left else slice(None)
    padded = sentence_mean(
        torch.cat([encoder_out, padding][order]), torch.cat([mask, off][order], 1)
    )
    torch.testing.assert_close(padded, sentence_mean(encoder_out, mask))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sentence_mean_of_half_precision_sums_in_fp32(dtype):
    encoder_out = torch.full((4000, 1, 2), 100.0, dtype=dtype)  # the sum overflows fp16
    encoder_out[::2] = 1.0
    e_L = sentence_mean(encoder_out, torch.ones(1, 4000).bool())
    assert e_L.dtype == torch.float32
    assert torch.equal(e_L, torch.full((1, 2), 50.5))


@pytest.mark.parametrize(
    "mask", [torch.ones(3, 2).bool(), torch.ones(2, 3), torch.ones(2, 4).bool()]
)
def test_sentence_mean_refuses_another_mask(mask):
    with pytest.raises(LaftError, match="text mask"):
        sentence_mean(torch.zeros(3, 2, 4), mask)


# --- s_L and r ---------------------------------------------------------------------------


@pytest.mark.parametrize("own_components", [True, False])
@pytest.mark.parametrize("scaling", BY_COMPONENTS)
def test_removal_by_hand_with_padding(scaling, own_components):
    generator = np.random.default_rng(3)
    steps, batch, lengths = 5, 3, [5, 2, 0]
    e = generator.standard_normal((steps, batch, D)).astype(np.float32)
    mask = np.array([[t < length for t in range(steps)] for length in lengths])
    bases = [orthonormal(b if own_components else 0) for b in range(batch)]
    expected = np.zeros((steps, batch, D))
    for b, length in enumerate(lengths):
        c = bases[b].numpy()
        removed = np.zeros(D)
        if length and scaling != "none":
            mean = e[:length, b].astype(np.float64).mean(0)
            removed = sum(c[:, j] * (c[:, j] @ mean) for j in range(K))
            if scaling == "scaled":
                removed = removed / math.sqrt((mean**2).sum())
        for t in range(steps):
            expected[t, b] = e[t, b] - removed
    components = (torch.stack(bases) if own_components else bases[0]).float()
    encoder_out = torch.tensor(e)
    e_L = sentence_mean(encoder_out, torch.tensor(mask))
    r = remove(encoder_out, language_projection(e_L, components, scaling))
    np.testing.assert_allclose(r.numpy(), expected, atol=2e-6)
    if scaling == "none":
        assert torch.equal(r, encoder_out)


def test_projection_leaves_nothing_along_the_components():
    c, e_L = orthonormal(1).float(), sentences(1, n=7)
    rest = e_L - language_projection(e_L, c, "projection")
    assert (rest @ c).abs().max() < 1e-5 < (e_L @ c).abs().max()


@pytest.mark.parametrize("scaling", BY_COMPONENTS)
def test_zero_text_removes_nothing_with_finite_gradients(scaling):
    e_L = torch.zeros(2, D)
    e_L[1] = 1.0
    e_L.requires_grad_()
    s_L = language_projection(e_L, orthonormal(0).float(), scaling)
    assert torch.equal(s_L[0], torch.zeros(D))
    if scaling != "none":
        assert s_L[1].any()
        s_L.sum().backward()
        assert torch.isfinite(e_L.grad).all()


@pytest.mark.parametrize("scaling", ["scaled", "projection"])
def test_removed_part_is_fp32_under_autocast_and_for_half_inputs(scaling):
    e_L, c = sentences(2, n=4), orthonormal(2).float()
    plain = language_projection(e_L, c, scaling)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(language_projection(e_L, c, scaling), plain)
    half = language_projection(e_L.half(), c.half(), scaling)
    assert half.dtype == torch.float32
    assert torch.equal(half, language_projection(e_L.half().float(), c.half().float(), scaling))


def test_remove_keeps_the_dtype_of_the_encoder():
    encoder_out, s_L = torch.ones(2, 1, 4).half(), torch.full((1, 4), 0.25)
    r = remove(encoder_out, s_L)
    assert r.dtype == torch.float16
    assert torch.equal(r, torch.full((2, 1, 4), 0.75).half())


def test_removed_part_refuses_unknown_scaling_and_misfit():
    with pytest.raises(LaftError, match="unknown removal 'half'"):
        language_projection(torch.ones(2, D), orthonormal(0), "half")
    for shape in [(D + 1, K), (3, D, K), (D,)]:
        with pytest.raises(LaftError, match="do not fit"):
            language_projection(torch.ones(2, D), torch.ones(shape), "scaled")


# --- c_L ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.0, 1.0, 300.0], ids=["centred", "usual", "badly_scaled"])
@pytest.mark.parametrize("seed", range(3))
def test_components_are_those_of_scipy_svd(seed, mean):
    rows = sentences(seed, mean=mean)
    expected, values = right_singular_vectors(rows)
    one_pass, singular_values = estimate(rows, [1, 300, 7, 0, 192]).components(K)
    left, right = estimate(rows[:200]), estimate(rows[200:], [100, 200])
    left.merge(right)
    assert one_pass.shape == (D, K)
    assert one_pass.dtype == torch.float32
    assert largest_sine(one_pass, expected) < 1e-6
    assert largest_sine(left.components(K)[0], expected) < 1e-6
    np.testing.assert_allclose(singular_values[:K].numpy(), values[:K], rtol=1e-9)
    for j in range(K):  # each vector, not only their span
        assert largest_sine(one_pass[:, j : j + 1], expected[:, j : j + 1]) < 1e-6


def test_rows_are_neither_centred_nor_normalised():
    rows = sentences(0, mean=1.0)
    c, _ = estimate(rows).components(K)
    centred, _ = right_singular_vectors(rows - rows.mean(0))
    normalised, _ = right_singular_vectors(rows / rows.norm(dim=1, keepdim=True))
    assert largest_sine(c, centred) > 1e-2
    assert largest_sine(c, normalised) > 1e-2


def test_memory_does_not_grow_with_n():
    statistics = ComponentStatistics.zeros(D)

    def held():
        return [
            (name, value.untyped_storage().nbytes(), value.data_ptr())
            for name, value in vars(statistics).items()
            if isinstance(value, torch.Tensor)
        ]

    before, fields = held(), set(vars(statistics))
    assert sum(size for _, size, _ in before) == 8 * (2 * D * D + 2 * D)
    for seed in range(20):
        statistics.update(sentences(seed))
    assert statistics.count == 20 * N
    assert held() == before
    assert set(vars(statistics)) == fields


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_update_takes_any_dtype_in_float64(dtype):
    rows = sentences(5, n=50).to(dtype)
    statistics = ComponentStatistics.zeros(D)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        statistics.update(rows)
    exact = rows.double().numpy()
    np.testing.assert_allclose(statistics.gram.numpy(), exact.T @ exact, rtol=1e-10, atol=1e-9)


def test_signs_put_the_largest_entry_up_and_the_first_of_tied_ones():
    up = torch.tensor([0.2, 1.0, -0.5, 0.0])
    tied = torch.tensor([0.0, 2.0, 0.0, -2.0 - 1e-9], dtype=torch.float64)  # but for rounding
    for sign in (1, -1):
        statistics = ComponentStatistics.zeros(4)
        statistics.update(sign * up[None])
        assert statistics.components(1)[0].argmax() == 1
        statistics = ComponentStatistics.zeros(4)
        statistics.update(sign * tied[None])
        c, _ = statistics.components(1)
        torch.testing.assert_close(c[:, 0], (tied / tied.norm()).float())
    c, _ = estimate(sentences(6)).components(K)
    largest = c.gather(0, c.abs().argmax(0, keepdim=True))
    assert (largest > 0).all()


@pytest.mark.parametrize("scaling", BY_COMPONENTS)
def test_mean_removed_is_the_mean_over_the_sentences(scaling):
    rows = sentences(7, n=40)
    rows[5] = 0  # an empty text counts, and removes nothing
    statistics = estimate(rows)
    c, _ = statistics.components(K)
    exact, basis = rows.double().numpy(), c.double().numpy()
    norms = np.linalg.norm(exact, axis=1)
    divisor = {"scaled": norms, "projection": np.ones(40), "none": np.full(40, np.inf)}[scaling]
    removed = [
        basis @ (basis.T @ e) / div if norm else np.zeros(D)
        for e, norm, div in zip(exact, norms, divisor, strict=True)
    ]
    mean = statistics.mean_removed(c, scaling)
    assert mean.dtype == torch.float32
    np.testing.assert_allclose(mean.numpy(), np.mean(removed, 0), atol=1e-6)


def test_the_mean_vector_is_the_mean_of_e_l():
    rows = sentences(7, n=40)
    statistics = estimate(rows)
    mean = statistics.mean_removed(statistics.components(K)[0], "mean")
    np.testing.assert_allclose(mean.numpy(), rows.double().numpy().mean(0), atol=1e-6)
    e_L = torch.stack([rows[0], torch.zeros(D)])  # the second text is empty
    assert torch.equal(mean_vector(e_L, mean.expand(2, D)), torch.stack([mean, torch.zeros(D)]))
    with pytest.raises(LaftError, match="removal 'mean' takes the mean vector"):
        language_projection(e_L, orthonormal(0).float(), "mean")


def test_too_few_sentences_are_refused():
    rows = sentences(8, n=K)
    assert estimate(rows).components(K)[0].shape == (D, K)
    with pytest.raises(LaftError, match="5 sentences are too few for 6 components"):
        estimate(rows[:5]).components(K)
    with pytest.raises(LaftError, match="10 sentences span 5 dimensions"):
        estimate(torch.cat([rows[:5], rows[:5]])).components(K)
    with pytest.raises(LaftError, match=r"within 1\.\.64"):
        estimate(sentences(8)).components(D + 1)


def test_zero_and_non_finite_outputs_are_refused():
    with pytest.raises(LaftError, match="all zero"):
        estimate(torch.zeros(N, D)).components(K)
    for bad in (math.nan, math.inf):
        rows = sentences(9)
        rows[3, 4] = bad
        with pytest.raises(LaftError, match="NaN or infinity"):
            estimate(rows)
        statistics = estimate(sentences(9))
        statistics.gram[3, 4] = bad
        with pytest.raises(LaftError, match="NaN or infinity"):
            statistics.components(K)


def test_misfits_are_refused():
    statistics = estimate(sentences(0))
    with pytest.raises(LaftError, match="width 64"):
        statistics.update(torch.ones(2, D + 1))
    with pytest.raises(LaftError, match="widths 64 and 8"):
        statistics.merge(ComponentStatistics.zeros(8))
    with pytest.raises(LaftError, match="no sentence"):
        ComponentStatistics.zeros(D).mean_removed(orthonormal(0), "scaled")
    with pytest.raises(LaftError, match="for statistics of width 64"):
        statistics.mean_removed(torch.ones(D + 1, K), "scaled")
