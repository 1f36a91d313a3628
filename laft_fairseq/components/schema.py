"""What a components file holds: each language's components, and which ablation they are, if any."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import SCALINGS, Scaling


@dataclass(frozen=True)
class Ablation:
    """What stands in place of the true c_L (`ablations.py`).

    Attributes:
        kind: `other-language` or `random-subspace`.
        of: whose c_L each tag has; empty for random ones.
        seed: of the random subspaces; None elsewhere.
        gains: by tag and scaling, what s_L = gain · c cᵀ e_L (/ ‖e_L‖) is multiplied by.
    """

    kind: str
    of: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    gains: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """A description in one line: `other-language, en_XX has fr_XX's ...`."""
        if self.seed is not None:
            return f"{self.kind}, seed {self.seed}"
        return f"{self.kind}, " + ", ".join(f"{tag} has {of}'s" for tag, of in self.of.items())


@dataclass(frozen=True)
class Language:
    """One language of a components file; symbols as in `method/language_components.py`."""

    components: Tensor  # c_L, (d, k) fp32; of a shard (d, 0)
    mean_removed: dict[Scaling, Tensor]  # the mean of s_L over the n sentences, (d) fp32
    singular_values: list[float]  # the first k, falling; of a shard none
    count: int  # n
    statistics: ComponentStatistics | None  # None unless they were asked for
    gains: dict[str, float] = field(default_factory=dict)  # of an ablation, by scaling; else 1

    @classmethod
    def of(
        cls,
        statistics: ComponentStatistics,
        c: Tensor,
        gains: dict[str, float] | None = None,
    ) -> Language:
        """Return the entry of a language with c (d, k) fp32; its singular values are ‖M_L c_j‖."""
        gains, rows = gains or {}, c.to(statistics.gram).t()  # (k, d) float64
        energy = ((rows @ statistics.gram) * rows).sum(1)  # (k)
        means = {s: statistics.mean_removed(c, s) * gains.get(s, 1.0) for s in SCALINGS}
        values: list[float] = energy.clamp(min=0).sqrt().tolist()
        return cls(c, means, values, statistics.count, statistics, gains)

    @classmethod
    def part(cls, d: int, count: int, statistics: ComponentStatistics | None) -> Language:
        """Return the entry of a shard: statistics alone, of what may be fewer than k sentences."""
        return cls(torch.zeros(d, 0), {}, [], count, statistics)

    def used(self, scaling: Scaling) -> Tensor:
        """Return √gain c_L (d, k), which a model multiplies by, so that s_L has the gain."""
        return self.components * self.gains.get(scaling, 1.0) ** 0.5


@dataclass(frozen=True)
class Shard:
    """Which part of a corpus a components file was estimated on.

    Attributes:
        index: from 1 to ``of``.
        of: number of shards.
        digests: by tag, of all the shards' batches together.
    """

    index: int
    of: int
    digests: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``I/N``. Raises LaftError for anything but 1/N to N/N."""
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise LaftError(f"--shard {text}: expected I/N, of four 1/4, 2/4, 3/4 and 4/4")
        return cls(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class LanguageComponents:
    """A components file as read by `load`; every error names `path`."""

    path: Path
    fingerprint: str
    d: int
    k: int
    languages: dict[str, Language]
    mask_source_tag: bool = False  # the encoder saw <mask> in place of the tag
    control: Ablation | None = None  # in place of the true components
    layout: TagLayout = TagLayout.SUFFIX  # where the tag stood
    shard: Shard | None = None  # the part of the corpus that was read; None: all

    @property
    def statistics(self) -> dict[str, ComponentStatistics]:
        """The statistics by tag, of a file that was loaded with them."""
        return {tag: entry.statistics for tag, entry in self.languages.items() if entry.statistics}

    def select(self, lang: str) -> Language:
        """Return the language of the tag `lang`; raise LaftError if the file lacks it."""
        check_held(self.path, [lang], self.languages)
        return self.languages[lang]

    def expect(
        self, fingerprint: str | None = None, k: int | None = None, d: int | None = None
    ) -> None:
        """Raise LaftError unless the components are of this backbone, of this k and d."""
        if fingerprint not in (None, self.fingerprint) or d not in (None, self.d):
            raise LaftError(
                f"{self.path}: components of another backbone (fingerprint {self.fingerprint}, "
                f"width {self.d}; this one: fingerprint {fingerprint or self.fingerprint}, "
                f"width {d or self.d}); run `laft components` on this backbone"
            )
        if k not in (None, self.k):
            raise LaftError(
                f"{self.path}: {self.k} components a language where {k} are asked for; "
                f"run `laft components` with --num-components {k}"
            )

    def expect_use(
        self, mask_source_tag: bool, layout: TagLayout, removal: Scaling | None = None
    ) -> None:
        """Raise LaftError unless they were estimated as the model reads its source, and fit."""
        if layout is not self.layout:
            raise LaftError(
                f"{self.path}: estimated with the tag layout {self.layout}, but used with "
                f"{layout}; run `laft components` on data of the layout {layout}"
            )
        if mask_source_tag != self.mask_source_tag:
            this, other = ("with", "without") if self.mask_source_tag else ("without", "with")
            raise LaftError(
                f"{self.path}: estimated {this} --mask-source-tag, but used {other} it; run "
                f"`laft components` {other} --mask-source-tag"
            )
        if self.control is not None and removal == "mean":
            raise LaftError(
                f"{self.path}: an ablation ({self.control.words}), which --removal mean does not "
                "use; give the true components"
            )

    def expect_all_text(self) -> None:
        """Raise LaftError for a shard, which is to be merged first."""
        if self.shard is not None:
            raise LaftError(
                f"{self.path}: shard {self.shard} of the text alone; merge all {self.shard.of} by "
                "`laft components --merge`"
            )

    def expect_true(self) -> None:
        """Raise LaftError for an ablation."""
        if self.control is not None:
            raise LaftError(
                f"{self.path}: an ablation ({self.control.words}); give the file of true "
                "components that it was made from"
            )


def check_held(path: Path, wanted: Iterable[str], held: Iterable[str]) -> None:
    """Raise LaftError for a tag that the file lacks."""
    for tag in wanted:
        if tag not in held:
            raise LaftError(
                f"{path}: no components of language {tag}, only of {', '.join(held)}; "
                f"run `laft components` with {tag} among --langs"
            )
