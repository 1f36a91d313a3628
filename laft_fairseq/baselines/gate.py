"""The gate of TM + adv (appendix): how much of the task module's output the decoder sees."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def gate(h: Tensor, e: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return g = αh + (1 − α)e with α = sigmoid(W_g[h; e] + b_g), a scalar a token (appendix).

    Computed as e + α(h − e), so that h = e gives e bit for bit, whatever α is.

    Args:
        h: (T, B, d) output of the task module.
        e: (T, B, d) output of the mBART encoder.
        weight: W_g, (1, 2d): first the half that reads h, then the half that reads e.
        bias: b_g, (1,).

    Returns:
        g, (T, B, d) in e's dtype, and α, (T, B, 1).
    """
    alpha = torch.sigmoid(F.linear(torch.cat([h, e], dim=-1), weight, bias))  # (T, B, 1)
    return (e + alpha * (h - e)).to(e.dtype), alpha


class Gate(nn.Module):
    """The gate of TM + adv (appendix), with BERT's initialisation: W_g small, b_g zero.

    α begins near 1/2. With a task module that starts as the identity (h = e) a fresh model computes
    the backbone's output bit for bit.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * d, 1)

    def forward(self, h: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """Return g (T, B, d) and α (T, B, 1) for h and e, (T, B, d) each; see :func:`gate`."""
        return gate(h, e, self.linear.weight, self.linear.bias)
