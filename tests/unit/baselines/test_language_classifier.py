"""The classifier's losses against numpy, and which side each of them moves."""

import numpy as np
import pytest
import torch
from torch import Tensor

from laft_fairseq.baselines.language_classifier import LanguageClassifier, language_logits
from tests import tiny

T, B, D = 4, 3, 5
MASK = torch.tensor([[False, True, True, False], [True, True, True, True], [False] * 4])
IS_SOURCE = torch.tensor([True, False, False])


def made() -> tuple[LanguageClassifier, Tensor]:
    module = LanguageClassifier(D)
    tiny.scramble(module, std=1.0)
    h = torch.randn(T, B, D, generator=torch.Generator().manual_seed(1))
    return module, h.requires_grad_()


def expected_logits(module: LanguageClassifier, h: Tensor) -> np.ndarray:
    """(B,) W_c h_L in float64, a row at a time."""
    weight, states = tiny.numpy(module.linear.weight)[0], tiny.numpy(h)
    logits = np.zeros(B)
    for row in range(B):
        tokens = [states[t, row] for t in range(T) if MASK[row, t]]
        logits[row] = weight @ np.mean(tokens, axis=0) if tokens else 0.0
    return logits


def cross_entropy(z: np.ndarray, y: np.ndarray) -> float:
    probability = 1 / (1 + np.exp(-z))
    return float(-np.mean(y * np.log(probability) + (1 - y) * np.log(1 - probability)))


@pytest.mark.parametrize("routed", [True, False])
def test_losses_agree_with_numpy(routed: bool) -> None:
    module, h = made()
    l_cls, l_adv, z = module(h, MASK, IS_SOURCE, routed=routed)
    expected, y = expected_logits(module, h), IS_SOURCE.numpy().astype(float)
    np.testing.assert_allclose(z.numpy(), expected, atol=1e-6)
    assert expected[2] == float(z[2]) == 0  # no text
    assert float(l_cls) == pytest.approx(cross_entropy(expected, y), abs=1e-6)
    assert float(l_adv) == pytest.approx(cross_entropy(expected, 1 - y), abs=1e-6)
    assert abs(float(l_cls) - float(l_adv)) > 1e-3


def gradients(loss: Tensor, *of: Tensor) -> list[Tensor | None]:
    return list(torch.autograd.grad(loss, of, retain_graph=True, allow_unused=True))


def test_routing() -> None:
    """L_cls moves the classifier only, L_adv the model only, in opposite directions."""
    module, h = made()
    weight = module.linear.weight
    l_cls, l_adv, _ = module(h, MASK, IS_SOURCE)
    of_weight, of_h = gradients(l_cls, weight, h)
    assert of_h is None and of_weight is not None and of_weight.abs().max() > 1e-3
    of_weight, of_h = gradients(l_adv, weight, h)
    assert of_weight is None and of_h is not None and of_h.abs().max() > 1e-3


def test_unrouted_terms_cancel() -> None:
    """The gradient of the literal sum is (2ŷ - 1) dz/dx / B, whatever the labels."""
    module, h = made()
    weight = module.linear.weight
    for labels in (IS_SOURCE, ~IS_SOURCE):
        l_cls, l_adv, _ = module(h, MASK, labels, routed=False)
        of_weight, of_h = gradients(l_cls + l_adv, weight, h)
        pull = (2 / (1 + np.exp(-expected_logits(module, h))) - 1) / B  # (B,)
        tokens = MASK.sum(1).clamp(min=1).numpy()  # (B,)
        share = (MASK.t().numpy() / tokens)[:, :, None]  # (T, B, 1): what a token gives to h_L
        by_h = pull[None, :, None] * share * tiny.numpy(weight)[0]  # (T, B, d)
        h_l = (tiny.numpy(h) * share).sum(0)  # (B, d)
        assert of_h is not None and of_weight is not None
        np.testing.assert_allclose(tiny.numpy(of_h), by_h, atol=1e-6)
        np.testing.assert_allclose(tiny.numpy(of_weight)[0], pull @ h_l, atol=1e-6)
    with torch.no_grad():
        module.linear.weight.zero_()  # undecided: nothing is left at all
    l_cls, l_adv, _ = module(h, MASK, IS_SOURCE, routed=False)
    assert all(not g.any() for g in gradients(l_cls + l_adv, weight, h) if g is not None)
    assert gradients(l_cls, weight)[0].any()  # type: ignore[union-attr]


def test_fp32_under_autocast() -> None:
    module, h = made()
    plain = language_logits(h, MASK, module.linear.weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = language_logits(h, MASK, module.linear.weight)
    assert actual.dtype == torch.float32
    assert torch.equal(actual, plain)
