"""Language components (section 3.1), estimated from sums over a corpus.

M_L  (n, d)  e_L (removal.py) of n monolingual sentences of the language L, a row each
c_L  (d, k)  the first k right singular vectors of M_L, neither centred nor normalised

M_L is never held: `ComponentStatistics` keeps its Gram matrix M_LᵀM_L, whose eigenvectors
are M_L's right singular vectors, so that memory does not depend on n and shards add up.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.method.removal import Scaling, unit_vectors

# Entries this close to the largest magnitude count as tied when a sign is chosen.
SIGN_TIE = 1e-6


@dataclass
class ComponentStatistics:
    """What c_L and the mean s_L need of M_L (n, d), in a size that does not depend on n.

    gram:      (d, d) float64, M_LᵀM_L
    sum:       (d) float64, Σ e_L
    unit_sum:  (d) float64, Σ e_L / ‖e_L‖₂, to which a zero row adds nothing
    count:     n, zero rows included
    unit_gram: (d, d) float64, Gram matrix of the rows e_L / ‖e_L‖₂, for the norms of ablations;
               None where it was not kept
    """

    gram: Tensor
    sum: Tensor
    unit_sum: Tensor
    count: int
    unit_gram: Tensor | None = None

    @classmethod
    def zeros(cls, d: int, device: torch.device | str = "cpu") -> Self:
        """Return the statistics of no sentence, for encoder width d."""

        def zero(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        return cls(zero(d, d), zero(d), zero(d), 0, zero(d, d))

    @property
    def d(self) -> int:
        """The encoder's width."""
        return self.gram.shape[0]

    @torch.no_grad()
    def update(self, e_L: Tensor) -> None:
        """Add the rows of e_L (B, d), any dtype and device, in place; sums are in float64.

        Raises:
            LaftError: a value is not finite.
        """
        if not torch.isfinite(e_L).all():
            raise LaftError("the encoder's output holds NaN or infinity")
        rows = e_L.to(self.gram.device, torch.float64)  # (B, d)
        self.gram.addmm_(rows.t(), rows)  # (d, d); autocast leaves float64 alone
        self.sum += rows.sum(0)  # (d)
        unit = unit_vectors(rows)  # (B, d)
        self.unit_sum += unit.sum(0)  # (d)
        if self.unit_gram is not None:
            self.unit_gram.addmm_(unit.t(), unit)  # (d, d)
        self.count += rows.shape[0]

    def merge(self, other: Self) -> None:
        """Add another shard of the same language, width and device in place."""
        self.gram += other.gram
        self.sum += other.sum
        self.unit_sum += other.unit_sum
        self.count += other.count
        if self.unit_gram is None or other.unit_gram is None:
            self.unit_gram = None
        else:
            self.unit_gram += other.unit_gram

    def components(self, k: int) -> tuple[Tensor, Tensor]:
        """Return c_L and the singular values of M_L (section 3.1).

        c_L holds the first k right singular vectors of M_L as columns, by falling singular
        value, each with its entry of largest magnitude (the first of tied ones) positive.
        They are the eigenvectors of the Gram matrix, in float64, rounded to fp32 at the end.

        Returns:
            c_L (d, k) fp32, and all singular values (d) float64, falling.

        Raises:
            LaftError: k is not within 1..d, or n or the rank of M_L is below k (fewer than k
                different sentences).
        """
        if not 1 <= k <= self.d:
            raise LaftError(f"{k} components of {self.d} dimensions: k must be within 1..{self.d}")
        if self.count < k:
            raise LaftError(f"{self.count} sentences are too few for {k} components")
        eigenvalues, eigenvectors = torch.linalg.eigh(self.gram)  # (d) rising, (d, d)
        eigenvalues = eigenvalues.flip(0).clamp(min=0)  # (d)
        noise = self.d * torch.finfo(torch.float64).eps * eigenvalues[0]
        rank = int((eigenvalues > noise).sum())
        if rank < k:
            raise LaftError(
                f"{self.count} sentences span {rank} dimensions, too few for {k} components"
            )
        c = _fix_signs(eigenvectors.flip(1)[:, :k])  # (d, k)
        return c.float().contiguous(), eigenvalues.sqrt()

    def mean_removed(self, components: Tensor, scaling: Scaling) -> Tensor:
        """Return the mean of s_L over the n sentences, as (d) fp32, for c_L (d, k).

        scaled:      c_L c_Lᵀ (Σ e_L / ‖e_L‖₂) / n
        projection:  c_L c_Lᵀ (Σ e_L) / n
        mean:        (Σ e_L) / n
        none:        0
        """
        if scaling == "none":
            return torch.zeros_like(self.sum, dtype=torch.float32)
        if scaling == "mean":
            return (self.sum / self.count).float()
        total = self.unit_sum if scaling == "scaled" else self.sum  # (d)
        c = components.to(total)  # (d, k)
        return (c @ (c.t() @ (total / self.count))).float()


def _fix_signs(c: Tensor) -> Tensor:
    """Return c (d, k), each column with its first entry of largest magnitude positive."""
    magnitude = c.abs()
    tied = magnitude >= (1 - SIGN_TIE) * magnitude.amax(0)  # (d, k)
    first = tied.int().argmax(0, keepdim=True)  # (1, k)
    return c * c.gather(0, first).sign()
