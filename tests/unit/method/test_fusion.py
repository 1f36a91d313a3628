import numpy as np
import torch

from laft_fairseq.method.fusion import Fusion
from tests import tiny

T, B, D, DIM = 4, 3, 8, 5


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """h (T, B, d) and s_L (B, d)."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(T, B, D, generator=generator), torch.randn(B, D, generator=generator)


def test_agrees_with_the_literal_equation() -> None:
    """U(ReLU(D[h; s_L])) + h, with the concatenation formed for each token."""
    fusion = Fusion(D, DIM)
    tiny.scramble(fusion, std=1.0)
    h, s_l = inputs()
    down, down_bias = tiny.numpy(fusion.down.weight), tiny.numpy(fusion.down.bias)
    up, up_bias = tiny.numpy(fusion.up.weight), tiny.numpy(fusion.up.bias)
    expected = np.empty((T, B, D))
    for t in range(T):
        for b in range(B):
            both = np.concatenate([tiny.numpy(h[t, b]), tiny.numpy(s_l[b])])  # (2d,)
            expected[t, b] = up @ np.maximum(down @ both + down_bias, 0) + up_bias
    expected += tiny.numpy(h)
    np.testing.assert_allclose(tiny.numpy(fusion(h, s_l)), expected, atol=1e-5)


def test_starts_as_the_identity_bit_for_bit() -> None:
    fusion = Fusion(D, DIM)
    h, s_l = inputs()
    assert not torch.equal(fusion(h, s_l), h)
    fusion.start_as_identity()
    assert torch.equal(fusion(h, s_l), h)


def test_half_precision_stays_half() -> None:
    """s_L comes in fp32."""
    h, s_l = inputs()
    assert Fusion(D, DIM).bfloat16()(h.bfloat16(), s_l).dtype == torch.bfloat16
