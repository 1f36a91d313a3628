"""Removal of language components from the encoder output (section 3.1), as pure functions.

e    (T, B, d)  output of the encoder
e_L  (B, d)     mean of e over the text's own tokens
c_L  (d, k)     language components (language_components.py)
s_L  (B, d)     what is subtracted: c_L c_Lᵀ e_L / ‖e_L‖₂
r    (T, B, d)  language-agnostic representation, r^i = e^i - s_L
"""

from typing import Literal, get_args

import torch
from torch import Tensor

Scaling = Literal["scaled", "projection", "mean", "none"]
SCALINGS: tuple[Scaling, ...] = get_args(Scaling)


def sentence_mean(encoder_out: Tensor, text_mask: Tensor) -> Tensor:
    """Return e_L, the mean of the encoder's output over each text's own tokens (section 3.1).

    Args:
        encoder_out: e, (T, B, d), any floating dtype; summed in fp32, under autocast as well.
        text_mask: (B, T) bool, True at the text's own tokens; False at padding, `<s>`, `</s>`
            and tags. What stands at False never counts, not even NaN.

    Returns:
        (B, d) fp32; zeros for a row without text tokens.
    """
    outside = ~text_mask.t().unsqueeze(-1)  # (T, B, 1), True outside the text
    total = encoder_out.masked_fill(outside, 0).sum(0, dtype=torch.float32)  # (B, d)
    tokens = text_mask.sum(1, keepdim=True).clamp(min=1)  # (B, 1)
    return total / tokens  # (B, d)


def language_projection(e_L: Tensor, components: Tensor, scaling: Scaling) -> Tensor:
    """Return s_L, what is subtracted from every token of a text (section 3.1).

    scaled:      s_L = c_L c_Lᵀ e_L / ‖e_L‖₂   (as the paper prints it)
    projection:  s_L = c_L c_Lᵀ e_L            (the projection of LIR, which the paper cites)
    none:        s_L = 0

    (``mean`` takes no components: :func:`mean_vector`.)

    Args:
        e_L: (B, d).
        components: c_L, (d, k) for a batch of one language or (B, d, k) with each row's own.
        scaling: one of these three.

    Returns:
        (B, d) fp32, computed in fp32 under autocast as well; zeros where e_L is zero, with
        finite gradients there.
    """
    e_L = e_L.float()
    if scaling == "none":
        return torch.zeros_like(e_L)
    if scaling == "scaled":
        e_L = unit_vectors(e_L)
    with torch.autocast(device_type=e_L.device.type, enabled=False):
        c = components.float()  # (d, k) or (B, d, k)
        coordinates = e_L.unsqueeze(1) @ c  # (B, 1, k), c_Lᵀ e_L
        return (coordinates @ c.transpose(-1, -2)).squeeze(1)  # (B, d)


def mean_vector(e_L: Tensor, mean: Tensor) -> Tensor:
    """Return s_L = μ_L, the mean e_L of the language's sentences (an ablation of section 3.1).

    Args:
        e_L: (B, d), a row of zeros for a text without tokens of its own, of which s_L is zero.
        mean: μ_L, (B, d), each row's own.

    Returns:
        (B, d) fp32.
    """
    return mean.float() * e_L.ne(0).any(1, keepdim=True)


def remove(encoder_out: Tensor, s_L: Tensor) -> Tensor:
    """Return r^i = e^i - s_L (section 3.1).

    Args:
        encoder_out: e, (T, B, d).
        s_L: (B, d), fp32.

    Returns:
        (T, B, d), subtracted in the wider of both dtypes, then in `encoder_out`'s dtype.
    """
    return (encoder_out - s_L.unsqueeze(0)).to(encoder_out.dtype)


def unit_vectors(e_L: Tensor) -> Tensor:
    """Return e_L / ‖e_L‖₂ (B, d); zero rows stay zero, their gradients finite."""
    norm = torch.linalg.vector_norm(e_L, dim=1, keepdim=True)  # (B, 1)
    return e_L / torch.where(norm > 0, norm, torch.ones_like(norm))
