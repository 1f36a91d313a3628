"""Whether components are the same: by the subspace, not by its basis."""

import torch

from laft_fairseq.checkpoints.completion import is_near, same_subspace

GENERATOR = torch.Generator().manual_seed(1)
C = torch.linalg.qr(torch.randn(32, 3, generator=GENERATOR)).Q  # (d, k)


def test_a_turned_basis_is_the_same() -> None:
    turn = torch.linalg.qr(torch.randn(3, 3, generator=GENERATOR)).Q
    assert same_subspace(C @ turn, C)
    assert same_subspace(-C, C)
    assert same_subspace(C.half().float(), C)


def test_another_subspace_or_gain_is_not() -> None:
    """One direction turned by 2 degrees: ‖A − B‖ = √2 sin 2° = 0.049, of √3."""
    other = torch.linalg.qr(torch.randn(32, 4, generator=GENERATOR)).Q
    assert not same_subspace(other[:, :3], C)
    away = torch.linalg.qr(torch.cat([C, other[:, 3:]], dim=1)).Q[:, 3]  # orthogonal to C
    angle = torch.deg2rad(torch.tensor(2.0))
    turned = torch.cat([(C[:, 0] * angle.cos() + away * angle.sin())[:, None], C[:, 1:]], dim=1)
    assert not same_subspace(turned, C)
    assert not same_subspace(C * 1.1, C)


def test_means() -> None:
    mean = torch.randn(32, generator=GENERATOR)
    assert is_near(mean.half().float(), mean)
    assert not is_near(mean * 1.02, mean)
    assert is_near(torch.zeros(32), torch.zeros(32))
