from argparse import Namespace

import pytest
import torch
from fairseq.models.transformer import TransformerConfig

from laft_fairseq.errors import LaftError
from laft_fairseq.method.task_module import TaskModule
from laft_fairseq.models.architectures import laft_mbart_tiny
from tests import tiny


@pytest.fixture
def cfg() -> TransformerConfig:
    args = Namespace()
    laft_mbart_tiny(args)
    return TransformerConfig.from_namespace(args)


@pytest.fixture
def r() -> torch.Tensor:
    return torch.randn(5, 2, tiny.D, generator=torch.Generator().manual_seed(1))  # (T, B, d)


def test_starts_as_the_identity_bit_for_bit(cfg: TransformerConfig, r: torch.Tensor) -> None:
    module = TaskModule(cfg, 2).eval()
    padding = torch.tensor([[False] * 5, [True] * 2 + [False] * 3])
    assert not torch.allclose(module(r, padding), r)
    module.start_as_identity()
    assert torch.equal(module(r, padding), r)
    assert torch.equal(module(r, None), r)


def test_identity_is_no_dead_end(cfg: TransformerConfig, r: torch.Tensor) -> None:
    """The zeroed projections get a gradient at once, the others after one step."""
    module = TaskModule(cfg, 2)
    module.start_as_identity()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        module(r, None).pow(3).sum().backward()
        optimizer.step()
    dead = [n for n, p in module.named_parameters() if not p.grad.any() and "k_proj.bias" not in n]
    assert not dead


def test_padding_changes_nothing(cfg: TransformerConfig, r: torch.Tensor) -> None:
    """As deep as asked, and blind to what stands at padding."""
    module = TaskModule(cfg, 3).eval()
    tiny.scramble(module)
    alone = module(r[2:, 1:], None)  # (3, 1, d)
    padded = module(r, torch.tensor([[False] * 5, [True] * 2 + [False] * 3]))
    assert len(module) == 3
    torch.testing.assert_close(padded[2:, 1:], alone, rtol=1e-5, atol=1e-5)


def test_at_least_one_layer(cfg: TransformerConfig) -> None:
    with pytest.raises(LaftError, match="--task-module-layers 0"):
        TaskModule(cfg, 0)
