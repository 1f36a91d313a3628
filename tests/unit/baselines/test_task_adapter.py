"""The task adapter against numpy, its start, and what is refused."""

import numpy as np
import pytest
import torch

from laft_fairseq.baselines.task_adapter import TaskAdapter
from laft_fairseq.errors import LaftError
from tests import tiny

Z = torch.randn(5, 2, tiny.D, generator=torch.Generator().manual_seed(1))  # (T, B, d)


def test_agrees_with_numpy() -> None:
    adapter = TaskAdapter(tiny.D, 8)
    tiny.scramble(adapter, std=0.5)
    down, up = (tiny.numpy(linear.weight) for linear in (adapter.down, adapter.up))
    biases = [tiny.numpy(linear.bias) for linear in (adapter.down, adapter.up)]
    assert (down.shape, up.shape) == ((4, tiny.D), (tiny.D, 4))
    z = tiny.numpy(Z)
    hidden = z @ down.T + biases[0]
    expected = z + np.where(hidden > 0, hidden, 0) @ up.T + biases[1]
    np.testing.assert_allclose(tiny.numpy(adapter(Z)), expected, atol=1e-6)


def test_starts_as_the_identity_and_is_alive() -> None:
    """U has a gradient at once, D after a step."""
    adapter = TaskAdapter(tiny.D, 16)
    assert torch.equal(adapter(Z), Z)
    optimizer = torch.optim.SGD(adapter.parameters(), lr=0.1)
    adapter(Z).pow(3).sum().backward()
    assert adapter.up.weight.grad.any()
    assert not adapter.down.weight.grad.any()
    optimizer.step()
    optimizer.zero_grad()
    adapter(Z).pow(3).sum().backward()
    assert all(parameter.grad.any() for parameter in adapter.parameters())


@pytest.mark.parametrize("reduction", [0, -1, tiny.D + 1])
def test_a_bottleneck_without_width(reduction: int) -> None:
    with pytest.raises(LaftError, match=f"--task-adapter-reduction {reduction}: .* 1..32"):
        TaskAdapter(tiny.D, reduction)
