from argparse import Namespace

import pytest
import torch
from torch import nn

from laft_fairseq.training import precision


@pytest.fixture
def linear() -> nn.Linear:
    return nn.Linear(4, 4)


@pytest.mark.parametrize(("choice", "dtype"), [("bf16", torch.bfloat16), ("none", torch.float32)])
def test_products_have_the_chosen_precision(
    linear: nn.Linear, choice: str, dtype: torch.dtype
) -> None:
    with precision.autocast(linear, choice):
        assert linear(torch.ones(2, 4)).dtype == dtype
    assert linear(torch.ones(2, 4)).dtype == torch.float32


@pytest.mark.parametrize("has", [True, False])
def test_auto_follows_the_processor(
    linear: nn.Linear, has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that only emulates bf16 does without: a V100 or T4, unless torch is asked so."""
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: has)
    assert precision.wants_bf16(linear.weight, "auto") is has
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or has
    )
    weight = Namespace(dtype=torch.float32, device=torch.device("cuda"))
    assert precision.wants_bf16(weight, "auto") is has  # type: ignore[arg-type]
    assert precision.wants_bf16(weight, "bf16")  # type: ignore[arg-type]


def test_a_halved_model_is_left_alone(linear: nn.Linear) -> None:
    assert not precision.wants_bf16(linear.half().weight, "bf16")


def kernels() -> tuple[bool, bool]:
    """Whether the fused kernel and plain products may compute attention."""
    return torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.math_sdp_enabled()


def test_attention_is_fused_where_nothing_is_differentiated(linear: nn.Linear) -> None:
    with precision.autocast(linear, "bf16"):
        assert kernels() == (False, True)
        with precision.frozen_forward():
            assert kernels() == (True, True)
            assert not linear(torch.ones(2, 4)).requires_grad
        assert kernels() == (False, True)
        assert torch.is_grad_enabled()
    with torch.no_grad(), precision.autocast(linear, "bf16"):
        assert kernels() == (True, True)
    assert kernels() == (True, True)
