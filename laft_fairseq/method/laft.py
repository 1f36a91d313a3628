"""LAFT between mBART's encoder and decoder (section 3): e -> r -> h -> B(h, c_L).

e    (T, B, d)  output of mBART's encoder
e_L  (B, d)     mean of e over the text's own tokens           removal.py, 3.1
c_L  (d, k)     language components, estimated beforehand      language_components.py, 3.1
s_L  (B, d)     what is subtracted, c_L c_Lᵀ e_L / ‖e_L‖₂      removal.py, 3.1
r    (T, B, d)  language-agnostic, r^i = e^i - s_L             removal.py, 3.1
h    (T, B, d)  TM(r), the task module                         task_module.py, 3.1
B    (T, B, d)  fusion, U(ReLU(D[h; s_L])) + h                 fusion.py, 3.2

After each decoder layer stands the adapter of the language to be written (language_adapter.py,
3.2). What each stage trains is in systems.py (3.3). TM + adv (appendix) has no removal and no
fusion, but a gate on h and e (baselines/gate.py).
"""

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from laft_fairseq.errors import LaftError
from laft_fairseq.method.fusion import Fusion
from laft_fairseq.method.removal import (
    Scaling,
    language_projection,
    mean_vector,
    remove,
    sentence_mean,
)
from laft_fairseq.method.task_module import TaskModule


class Representations(NamedTuple):
    """What LAFT computes between encoder and decoder, in the paper's symbols."""

    e: Tensor  # (T, B, d) output of mBART's encoder
    s_L: Tensor  # (B, d) fp32, what is subtracted
    r: Tensor  # (T, B, d) language-agnostic
    h: Tensor  # (T, B, d) output of the task module
    fused: Tensor  # (T, B, d) what the decoder attends to: fused, or gated in TM + adv
    alpha: Tensor | None = None  # (T, B, 1) the gate's, in TM + adv


class ComponentsOfLanguage(nn.Module):
    """c_L (d, k) and the mean of s_L (d,) of one language: buffers, so a checkpoint has them."""

    components: Tensor
    mean_removed: Tensor

    def __init__(self, components: Tensor, mean_removed: Tensor) -> None:
        super().__init__()
        self.register_buffer("components", components)
        self.register_buffer("mean_removed", mean_removed)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Follow the model to its device, but stay in fp32 when it is halved."""
        return super()._apply(lambda t: t.to(fn(t.new_empty(0)).device), recurse)


class LAFT:
    """Section 3 as a mixin of the encoder, so that checkpoints name its parts as the encoder's."""

    tags: tuple[str, ...]  # the languages; an index of a language is its place here
    embed_tokens: nn.Embedding
    removal: Scaling = "none"  # how s_L is formed
    fusion_input: str = ""  # what stands for s_L in the fusion: subtracted, mean or none
    task_module: TaskModule | None  # None, as the next two, where the system lacks the part
    fusion: Fusion | None
    gate: nn.Module | None
    language_components: nn.ModuleDict  # by tag

    @property
    def needs_components(self) -> bool:
        """Whether language components are needed; without removal the fusion sees zeros."""
        return self.task_module is not None and self.removal != "none"

    def set_components(self, tag: str, components: Tensor, mean_removed: Tensor) -> None:
        """Hold c_L (d, k) and the mean s_L (d,) of a language."""
        entry = ComponentsOfLanguage(components.float(), mean_removed.float())
        self.language_components[tag] = entry.to(self.embed_tokens.weight.device)

    def represent(
        self,
        e: Tensor,
        padding_mask: Tensor,
        text_mask: Tensor,
        languages: Tensor,
        output_languages: Tensor | None = None,
    ) -> Representations:
        """Compute e -> r -> h -> B(h, c_L) (section 3).

        Args:
            e: (T, B, d) output of mBART's encoder.
            padding_mask: (B, T) bool, True at padding.
            text_mask: (B, T) bool, True at the text's own tokens.
            languages: (B,) index of each example's language.
            output_languages: (B,) index of the language to write in, where it is another one; its
                mean s_L is fused in then, which the paper does not do.

        Raises:
            LaftError: no components of a language.
        """
        assert self.task_module is not None
        s_L = self.subtracted(e, text_mask, languages)  # (B, d), fp32
        r = remove(e, s_L) if self.needs_components else e  # (T, B, d)
        h = self.task_module(r, padding_mask if padding_mask.any() else None)  # (T, B, d)
        if self.gate is not None:
            return Representations(e, s_L, r, h, *self.gate(h, e))
        if self.fusion is None:
            return Representations(e, s_L, r, h, h)
        vector = self.fusion_vector(s_L, languages, output_languages)  # (B, d)
        return Representations(e, s_L, r, h, self.fusion(h, vector))

    def subtracted(self, e: Tensor, text_mask: Tensor, languages: Tensor) -> Tensor:
        """Return s_L, (B, d) in fp32; zeros where nothing is removed (section 3.1)."""
        if not self.needs_components:
            return e.new_zeros(e.shape[1:], dtype=torch.float32)
        with torch.autocast(e.device.type, enabled=False):
            e_L = sentence_mean(e, text_mask)  # (B, d)
            if self.removal == "mean":
                return mean_vector(e_L, self.gather_per_example("mean_removed", languages))
            c_L = self.gather_per_example("components", languages)  # (B, d, k)
            return language_projection(e_L, c_L, self.removal)

    def fusion_vector(self, s_L: Tensor, languages: Tensor, output: Tensor | None) -> Tensor:
        """Return (B, d), what the fusion sees: s_L itself, or the output language's mean s_L."""
        if not self.needs_components:
            return s_L
        target = languages if output is None else output
        if self.fusion_input == "subtracted" and torch.equal(target, languages):
            return s_L
        mean = self.gather_per_example("mean_removed", target)  # (B, d)
        if self.fusion_input == "mean":
            return mean
        return torch.where(target.eq(languages).unsqueeze(1), s_L, mean)

    def gather_per_example(self, buffer: str, languages: Tensor) -> Tensor:
        """Stack a buffer of each example's language: (B, ...).

        Raises:
            LaftError: no components of a language.
        """
        present, inverse = torch.unique(languages, return_inverse=True)
        tags = [self.tags[index] for index in present.tolist()]
        for tag in tags:
            if tag not in self.language_components:
                raise LaftError(
                    f"no language components for {tag} "
                    f"(there are: {', '.join(self.language_components) or 'none'}); add {tag} with "
                    "`laft components` and pass --language-components"
                )
        stack = torch.stack([getattr(self.language_components[tag], buffer) for tag in tags])
        return stack[inverse]
