"""Fusion of the task representation with the language that was removed (§3.2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def fuse(h: Tensor, s_l: Tensor, down: nn.Linear, up: nn.Linear) -> Tensor:
    """B(h, c_L) = U(ReLU(D[h; s_L])) + h.

    D acts on the concatenation [h; s_L]; as s_L is one vector a row, its half of the product
    is formed once a row and not once a token: D[h; s_L] = D_h h + D_s s_L + b.

    Args:
        h: (T, B, d) output of the task module.
        s_l: (B, d) what was removed from the row (or its language's mean).
        down: D, 2d -> d_a.
        up: U, d_a -> d.

    Returns:
        (T, B, d).
    """
    d = h.size(-1)
    of_h = F.linear(h, down.weight[:, :d], down.bias)  # (T, B, d_a)
    of_s = F.linear(s_l.to(h.dtype), down.weight[:, d:])  # (B, d_a)
    return up(F.relu(of_h + of_s.unsqueeze(0))) + h  # (T, B, d)


class Fusion(nn.Module):
    """§3.2's fusion with bottleneck ``dim`` (d_a, 1024 in the paper)."""

    def __init__(self, d: int, dim: int) -> None:
        super().__init__()
        self.down = nn.Linear(2 * d, dim)
        self.up = nn.Linear(dim, d)

    def start_as_identity(self) -> None:
        """Zero U, so that a fresh fusion returns h bit for bit."""
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, h: Tensor, s_l: Tensor) -> Tensor:
        """(T, B, d) and (B, d) -> (T, B, d), see :func:`fuse`."""
        return fuse(h, s_l, self.down, self.up)
