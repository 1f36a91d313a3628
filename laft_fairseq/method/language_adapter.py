"""Language adapters (section 3.2, after MAD-X): one a language, after each decoder layer."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laft_fairseq.errors import LaftError

NORMS = ("inside", "outside", "none")

# The rows of a batch in one language: (tag, (n,) row indices, or None for all rows).
RowGroup = tuple[str, Tensor | None]


def group_rows(languages: Tensor, tags: Sequence[str]) -> list[RowGroup]:
    """Return the rows of each language present in (B,) indices, in the order of ``tags``."""
    present = torch.unique(languages).tolist()
    if len(present) == 1:
        return [(tags[present[0]], None)]
    return [(tags[index], languages.eq(index).nonzero().squeeze(1)) for index in present]


class LanguageAdapter(nn.Module):
    """One language's adapter, F(z) = U ReLU(D z) with a residual connection.

    ``inside``: z + LN(F(z)), with LN's gain starting at 0: the identity, yet U gets a gradient;
    ``outside``: LN(z + F(z)); ``none``: z + F(z), with U starting at 0.
    """

    def __init__(self, d: int, dim: int, norm: str) -> None:
        super().__init__()
        self.norm = norm
        self.down = nn.Linear(d, dim)
        self.up = nn.Linear(dim, d)
        self.layer_norm = nn.LayerNorm(d) if norm != "none" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise, as the identity wherever the norm allows it."""
        for linear in (self.down, self.up):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        if self.norm == "inside":
            assert self.layer_norm is not None
            nn.init.zeros_(self.layer_norm.weight)
        if self.norm == "none":
            nn.init.zeros_(self.up.weight)

    def forward(self, z: Tensor) -> Tensor:
        """Return (T, n, d) for z (T, n, d)."""
        x = self.up(F.relu(self.down(z)))  # (T, n, d)
        if self.layer_norm is None:
            return z + x
        return z + self.layer_norm(x) if self.norm == "inside" else self.layer_norm(z + x)


class LanguageAdapters(nn.ModuleDict):
    """One layer's adapters, keyed by tag, so that adding a language changes no shape."""

    def __init__(self, d: int, dim: int, norm: str, tags: Iterable[str]) -> None:
        super().__init__()
        self.shape = (d, dim, norm)
        for tag in tags:
            self.add(tag)

    def add(self, tag: str) -> None:
        """Add a fresh adapter for ``tag``, unless there is one."""
        if tag not in self:
            self[tag] = LanguageAdapter(*self.shape)

    def forward(self, z: Tensor, groups: Sequence[RowGroup]) -> Tensor:
        """Return (T, B, d), each row through its own language's adapter.

        In training every adapter takes part in every step, those of absent languages with a zero
        gradient, so that Adam moves them alike in one process and in many.

        Raises:
            LaftError: a row's language has no adapter.
        """
        missing = [tag for tag, _ in groups if tag not in self]
        if missing:
            raise LaftError(
                f"no adapter for language {missing[0]} (there are: {', '.join(self) or 'none'}); "
                f"train stage 1 with {missing[0]} among --train-langs"
            )
        if len(groups) == 1 and groups[0][1] is None:
            out = self[groups[0][0]](z)  # (T, B, d)
        else:
            out = torch.empty_like(z)  # (T, B, d)
            for tag, rows in groups:
                assert rows is not None
                out = out.index_copy(1, rows, self[tag](z.index_select(1, rows)).to(out.dtype))
        if not (self.training and torch.is_grad_enabled()):
            return out
        present = [tag for tag, _ in groups]
        absent = [
            parameter.sum()
            for tag, adapter in self.items()
            if tag not in present
            for parameter in adapter.parameters()
            if parameter.requires_grad
        ]
        return out + 0.0 * torch.stack(absent).sum().to(out.dtype) if absent else out
