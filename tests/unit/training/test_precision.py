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


@pytest.fixture
def onednn(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The inputs that oneDNN is given, as on a processor where MKL is slow."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(precision, "mkl_is_slow", lambda: True)
    given: list[torch.Size] = []
    to_onednn = torch.Tensor.to_mkldnn
    monkeypatch.setattr(
        torch.Tensor, "to_mkldnn", lambda x: (given.append(x.shape), to_onednn(x))[1]
    )
    return given


@torch.no_grad()
def test_a_large_fp32_product_is_onednns(onednn: list[torch.Size]) -> None:
    model = nn.Sequential(nn.Linear(256, 512), nn.Linear(512, 3))
    names = set(model.state_dict())
    precision.speed_up(model)
    assert set(model.state_dict()) == names
    x = torch.randn(40, 1, 256)
    inner = x.double().numpy() @ model[0].weight.double().numpy().T + model[0].bias.numpy()
    outer = inner @ model[1].weight.double().numpy().T + model[1].bias.numpy()
    torch.testing.assert_close(model(x), torch.from_numpy(outer).float())
    assert onednn == [(40, 1, 256)]  # the second product is too small


@pytest.mark.parametrize("why", ["gradient", "bf16", "autocast", "fast"])
def test_other_products_are_torchs(
    onednn: list[torch.Size], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = nn.Linear(256, 512, dtype=torch.bfloat16 if why == "bf16" else torch.float32)
    precision.speed_up(layer)
    if why == "fast":
        monkeypatch.setattr(precision, "mkl_is_slow", lambda: False)
    x = torch.randn(40, 256, dtype=layer.weight.dtype)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast")
    with torch.set_grad_enabled(why == "gradient"), autocast:
        y = layer(x)
    assert onednn == [] and y.requires_grad == (why == "gradient")


@pytest.mark.parametrize(
    ("processor", "slow"),
    [("vendor_id : AuthenticAMD\nflags : avx2 avx512f", True),
     ("vendor_id : AuthenticAMD\nflags : avx2", False),
     ("vendor_id : GenuineIntel\nflags : avx2 avx512f", False), ("", False)],
)  # fmt: skip
def test_mkl_is_slow_on_amd_with_avx512(
    processor: str, slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "cpu_info", lambda: processor)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert precision.mkl_is_slow.__wrapped__() is slow
