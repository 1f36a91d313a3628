"""The baseline Adapter: where its adapters stand, how they start, what is trained."""

from pathlib import Path

import numpy as np
import pytest
import torch

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

SOURCE = tiny.rows(["\u2581w1 c1 </s> [en_XX]", "一 <mask> 三 </s> [zh_CN]"])
PREVIOUS = tiny.rows(["[en_XX] \u2581w1 c1 \u2581w2", "[zh_CN] 一 二"], left=False)


def on(backbone: Path, method: str = "adapter", stage: str = "generation") -> LAFTMBart:
    built = tiny.model(stage, method=method, backbone=str(backbone))
    built.load_backbone(backbones.read(str(backbone)))
    return built


def scrambled(backbone: Path, stage: str = "generation") -> LAFTMBart:
    built = on(backbone, stage=stage)
    for name, module in built.named_modules():
        if name.endswith(".task_adapter"):
            tiny.scramble(module, seed=len(name) + int(name.split(".")[2]))
    return built


@torch.no_grad()
def test_fresh_adapters_are_the_backbone_bit_for_bit(backbone: Path) -> None:
    logits, _ = on(backbone)(SOURCE, None, PREVIOUS)
    assert torch.equal(logits, on(backbone, "mbart_full")(SOURCE, None, PREVIOUS)[0])
    assert not torch.equal(logits, scrambled(backbone)(SOURCE, None, PREVIOUS)[0])


@torch.no_grad()
@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_each_layer_ends_in_its_adapter(backbone: Path, side: str) -> None:
    """A layer's output is the stock layer's through numpy's y = z + U ReLU(D z)."""
    adapted, plain = scrambled(backbone), on(backbone, "mbart_full")
    x = torch.randn(4, 2, tiny.D, generator=torch.Generator().manual_seed(2))  # (T, B, d)
    for number in range(2):
        layers = [getattr(built, side).layers[number] for built in (adapted, plain)]
        actual, z = ((layer(x, None) if side == "encoder" else layer(x, x)[0]) for layer in layers)
        module = layers[0].task_adapter
        hidden = tiny.numpy(z) @ tiny.numpy(module.down.weight).T + tiny.numpy(module.down.bias)
        moved = np.maximum(hidden, 0) @ tiny.numpy(module.up.weight).T + tiny.numpy(module.up.bias)
        assert np.abs(moved).max() > 0.01
        np.testing.assert_allclose(tiny.numpy(actual), tiny.numpy(z) + moved, atol=1e-5)
