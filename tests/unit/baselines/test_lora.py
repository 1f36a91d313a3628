"""LoRA: the backbone when fresh; the same model when merged; a slim checkpoint of its own parts."""

import sys
from pathlib import Path

import pytest
import torch

from laft_fairseq.baselines import lora
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import HEADER_KEY
from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

SOURCES = ("▁w1 c1 ▁w2 c2 </s> [en_XX]", "▁w6 c6 </s> [fr_XX]")
WRITTEN = ("[en_XX] ▁w1 c1", "[fr_XX] ▁w6 c6")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture
def fresh(backbone: Path) -> LAFTMBart:
    built = tiny.model(method="lora")
    built.load_backbone(backbones.read(str(backbone)))
    return built


def logits(model: LAFTMBart) -> torch.Tensor:
    return model(tiny.rows(SOURCES), None, tiny.rows(WRITTEN, left=False))[0]


def disturb(model: LAFTMBart) -> dict[str, torch.Tensor]:
    """Fill every update, and return them."""
    updates = {name: p for name, p in model.named_parameters() if p.requires_grad}
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in updates.values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return updates


def test_a_fresh_one_is_the_backbone_bit_for_bit(fresh: LAFTMBart, backbone: Path) -> None:
    plain = tiny.model(method="mbart_full")
    plain.load_backbone(backbones.read(str(backbone)))
    assert torch.equal(logits(fresh), logits(plain))


def test_merged_logits_and_independent_weights(fresh: LAFTMBart, backbone: Path) -> None:
    """W + B A of every projection, in training, in search and merged."""
    before = {name: tensor.clone() for name, tensor in tiny.tensors_of(fresh).items()}
    updates = disturb(fresh)
    expected = logits(fresh)
    assert not torch.allclose(expected, logits_of(before), atol=1e-2)
    for name in updates:
        stem, _, rest = name.partition(".lora_A.")
        if rest:
            w = before[f"{stem}.weight"].double()
            a, b = (updates[f"{stem}.lora_{side}.lora.weight"].double() for side in "AB")
            before[f"{stem}.weight"] = (w + b @ a).float()
    torch.testing.assert_close(logits_of(before), expected, atol=1e-5, rtol=0)
    state = lora.merged_state(fresh)
    assert not any(".lora." in name for name in state)
    torch.testing.assert_close(logits_of(state), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(logits(fresh), expected, atol=1e-5, rtol=0)


def logits_of(state: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of a plain mBART of these weights."""
    plain = tiny.model(method="mbart_full")
    own = {name: tensor for name, tensor in state.items() if ".lora." not in name}
    torch.nn.Module.load_state_dict(plain, own)
    return logits(plain)


def test_every_update_gets_a_gradient_under_autocast_too(fresh: LAFTMBart) -> None:
    """fairseq's attention reads the projections' weights and does not call them."""
    updates = disturb(fresh)
    for enabled in (False, True):
        fresh.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits(fresh).float().log_softmax(-1)[..., 5].sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in updates.values())
    layer = fresh.decoder.layers[0].self_attn.q_proj
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.weight.dtype == torch.float32


def test_a_slim_checkpoint_holds_the_updates_alone(fresh: LAFTMBart, backbone: Path) -> None:
    updates = disturb(fresh)
    expected = logits(fresh)
    state = fresh.state_dict()
    assert {name for name in state if name != HEADER_KEY and "version" not in name} == set(updates)
    loaded = tiny.model(method="lora", backbone=str(backbone))
    loaded.load_state_dict(state)
    assert torch.equal(logits(loaded.eval()), expected)


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LaftError, match="--lora-rank -1: must be positive"):
        lora.add_lora(torch.nn.Module(), -1)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(LaftError, match=r"pip install 'laft_fairseq\[lora\]'"):
        lora.add_lora(torch.nn.Module(), 1)
