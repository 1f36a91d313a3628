"""The gate of TM + adv against numpy."""

import numpy as np
import torch

from laft_fairseq.baselines.gate import Gate
from tests import tiny

T, B, D = 3, 2, 5


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(T, B, D, generator=generator), torch.randn(T, B, D, generator=generator)


@torch.no_grad()
def test_gate_agrees_with_numpy() -> None:
    module = Gate(D)
    tiny.scramble(module)
    h, e = inputs()
    g, alpha = module(h, e)
    weight, bias = tiny.numpy(module.linear.weight)[0], float(module.linear.bias)
    for t in range(T):
        for b in range(B):
            h_tb, e_tb = tiny.numpy(h)[t, b], tiny.numpy(e)[t, b]
            expected = 1 / (1 + np.exp(-(weight[:D] @ h_tb + weight[D:] @ e_tb + bias)))
            np.testing.assert_allclose(float(alpha[t, b, 0]), expected, atol=1e-6)
            mixed = expected * h_tb + (1 - expected) * e_tb
            np.testing.assert_allclose(tiny.numpy(g)[t, b], mixed, atol=1e-6)
    assert alpha.std() > 0.01


@torch.no_grad()
def test_equal_inputs_pass_bit_for_bit() -> None:
    module = Gate(D)
    tiny.scramble(module)
    _, e = inputs()
    assert torch.equal(module(e.clone(), e)[0], e)


@torch.no_grad()
def test_half_precision_stays_as_the_encoders() -> None:
    h, e = inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        g, _ = Gate(D)(h.bfloat16(), e)
    assert g.dtype == torch.float32
