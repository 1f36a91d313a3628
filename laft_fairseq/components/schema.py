"""What a components file holds: each language's components, and which ablation they are, if any."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import SCALINGS, Scaling


@dataclass(frozen=True)
class Ablation:
    """What stands in place of the true c_L (`ablations.py`)."""

    kind: str  # other-language or random-subspace
    of: dict[str, str] = field(default_factory=dict)  # whose c_L each tag has; {} for random ones
    seed: int | None = None  # of the random subspaces; None elsewhere
    # by tag and scaling, what s_L = gain · c cᵀ e_L (/ ‖e_L‖) is multiplied by
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

    components: Tensor  # c_L, (d, k) fp32
    mean_removed: dict[Scaling, Tensor]  # the mean of s_L over the n sentences, (d) fp32
    singular_values: list[float]  # the first k, falling
    count: int  # n
    statistics: ComponentStatistics | None  # None unless they were asked for
    gains: dict[str, float] = field(default_factory=dict)  # of an ablation, by scaling; else 1

    @classmethod
    def of(
        cls,
        statistics: ComponentStatistics,
        c: Tensor,
        gains: dict[str, float] | None = None,
    ) -> Self:
        """Return the entry of a language with c (d, k) fp32; its singular values are ‖M_L c_j‖."""
        gains, rows = gains or {}, c.to(statistics.gram).t()  # (k, d) float64
        energy = ((rows @ statistics.gram) * rows).sum(1)  # (k)
        means = {s: statistics.mean_removed(c, s) * gains.get(s, 1.0) for s in SCALINGS}
        values: list[float] = energy.clamp(min=0).sqrt().tolist()
        return cls(c, means, values, statistics.count, statistics, gains)

    def used(self, scaling: Scaling) -> Tensor:
        """Return √gain c_L (d, k), which a model multiplies by, so that s_L has the gain."""
        return self.components * self.gains.get(scaling, 1.0) ** 0.5


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


def _parsed(text: str) -> Any:
    """Return what JSON holds. Raises ValueError, also for nesting too deep to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("a table that is nested too deeply") from None


def table(text: str, is_valid: Callable[[Any], bool]) -> dict[str, Any]:
    """Return a JSON object whose values are valid. Raises ValueError."""
    values = _parsed(text)
    if not _is_table(values, is_valid):
        raise ValueError(f"the table {text[:60]}")
    return dict(values)


def ablation(text: str) -> Ablation | None:
    """Return the ablation that JSON describes, or None. Raises ValueError or TypeError."""
    given = _parsed(text)
    if given is None:
        return None
    read = Ablation(**given)
    is_valid = (
        isinstance(read.kind, str)
        and _is_table(read.of, lambda tag: isinstance(tag, str))
        and (read.seed is None or isinstance(read.seed, int))
        and _is_table(read.gains, lambda gains: _is_table(gains, _is_number))
    )
    if not is_valid:
        raise ValueError(f"control {text[:60]}")
    return read


def _is_table(value: Any, is_valid: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(is_valid, value.values()))


def is_count(value: Any) -> bool:
    """Return whether it is a number of things, or a checksum."""
    return type(value) is int and 0 <= value < 1 << 53


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def is_numbers(value: Any) -> bool:
    """Return whether it is a list of finite numbers, none below 0."""
    return isinstance(value, list) and all(map(_is_number, value))
