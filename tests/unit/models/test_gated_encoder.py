"""The encoder's side of TM + adv: no removal, no fusion, a gate; and what the criterion reads."""

import numpy as np
import pytest
import torch

from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

TEXTS = ("\u2581w1 c1 \u2581w2 c2 </s> [en_XX]", "二 三 </s> [zh_CN]", "\u2581w7 c7 </s> [fr_XX]")
SOURCE = tiny.rows(TEXTS)  # (3, 6), left-padded
INPUT = tiny.rows(("[en_XX] \u2581w1 c1", "[zh_CN] 二", "[fr_XX] \u2581w7 c7 \u2581w2"), left=False)


def scrambled(method: str = "tm_adv") -> LAFTMBart:
    built = tiny.model(method=method)
    tiny.scramble(built)
    return built


@pytest.mark.parametrize("method", ["tm_adv", "tm_adv_frozen"])
@torch.no_grad()
def test_a_fresh_model_is_the_backbone_bit_for_bit(method: str) -> None:
    built = tiny.model(method=method)
    out = built.encoder(SOURCE)
    assert torch.equal(
        out["encoder_out"][0], built.encoder.forward_backbone(SOURCE)["encoder_out"][0]
    )
    assert out["alpha"][0].std() > 0  # whatever the gate says


@torch.no_grad()
def test_the_decoder_sees_the_gated_mixture() -> None:
    """h = TM(e): nothing is removed, and no components are needed."""
    built = scrambled()
    assert not built.encoder.needs_components and built.encoder.fusion is None
    assert built.header("whole", []).removal == "none"
    out = built.encoder(SOURCE)
    e = built.encoder.forward_backbone(SOURCE)["encoder_out"][0]
    h = built.encoder.task_module(e, SOURCE.eq(1))
    assert torch.equal(out["h"][0], h)
    alpha = tiny.numpy(out["alpha"][0])
    mixed = alpha * tiny.numpy(h) + (1 - alpha) * tiny.numpy(e)
    np.testing.assert_allclose(tiny.numpy(out["encoder_out"][0]), mixed, atol=1e-5)
    assert np.abs(mixed - tiny.numpy(e)).max() > 0.1
    actual = built.encoder.representations(SOURCE, built.encoder.forward_backbone(SOURCE))
    assert not actual.s_L.any() and torch.equal(actual.r, actual.e)


@pytest.mark.parametrize("generates", [False, True])
@torch.no_grad()
def test_decoding_some_rows_equals_decoding_all(generates: bool) -> None:
    """Also where a generator was built, as for --eval-rouge."""
    built, rows = scrambled(), torch.tensor([2, 0])
    if generates:
        built.set_beam_size(1)
    every, _ = built(SOURCE, None, INPUT)
    some, extra = built(SOURCE, None, INPUT[rows], decoded_rows=rows)
    torch.testing.assert_close(some, every[rows])
    assert extra["encoder"]["h"][0].size(1) == extra["encoder"]["alpha"][0].size(1) == 3


@torch.no_grad()
def test_other_methods_hand_nothing_on() -> None:
    built = tiny.model(method="laft")
    assert set(built.encoder(SOURCE)) == set(built.encoder.forward_backbone(SOURCE))


def test_a_frozen_backbone_stays_in_eval() -> None:
    encoder = scrambled("tm_adv_frozen").train().encoder
    assert encoder.task_module.training and encoder.gate.training
    assert not encoder.layers.training
    assert scrambled("tm_adv").train().encoder.layers.training
