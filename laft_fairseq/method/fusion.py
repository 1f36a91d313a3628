"""Fusion of the task representation with the removed language components (section 3.2)."""

import torch.nn.functional as F
from torch import Tensor, nn


def fuse(h: Tensor, s_L: Tensor, down: nn.Linear, up: nn.Linear) -> Tensor:
    """Return B(h, c_L) = U(ReLU(D[h; s_L])) + h (section 3.2).

    D acts on the concatenation [h; s_L]. As s_L is one vector a row, its half of the product is
    computed once a row, not once a token: D[h; s_L] = D_h h + D_s s_L + b.

    Args:
        h: (T, B, d) output of the task module.
        s_L: (B, d) what was subtracted from the row, or its language's mean.
        down: D, 2d -> d_a.
        up: U, d_a -> d.

    Returns:
        (T, B, d).
    """
    d = h.size(-1)
    of_h = F.linear(h, down.weight[:, :d], down.bias)  # (T, B, d_a)
    of_s = F.linear(s_L.to(h.dtype), down.weight[:, d:])  # (B, d_a)
    return up(F.relu(of_h + of_s.unsqueeze(0))) + h  # (T, B, d)


class Fusion(nn.Module):
    """The fusion (section 3.2) with bottleneck ``dim``: d_a, 1024 in the paper."""

    def __init__(self, d: int, dim: int) -> None:
        super().__init__()
        self.down = nn.Linear(2 * d, dim)
        self.up = nn.Linear(dim, d)

    def start_as_identity(self) -> None:
        """Set U to zero, so that a fresh fusion returns h bit for bit."""
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, h: Tensor, s_L: Tensor) -> Tensor:
        """Return (T, B, d) for h (T, B, d) and s_L (B, d), see :func:`fuse`."""
        return fuse(h, s_L, self.down, self.up)
