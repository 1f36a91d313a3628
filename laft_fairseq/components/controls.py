"""Controls for the mechanism: components that are not the language's own.

other-language   c of the next language of the file: does it have to be this language's subspace?
random-subspace  a random k-subspace of the width d: does it have to be a language's at all?

A random subspace holds less of e_L than c_L does, so its s_L is multiplied by a gain that makes
the root mean square of ‖s_L‖ over the n sentences that of the true c_L, exactly, for `scaled` and
for `projection` alike. Above 1 the gain takes away more than the part in the subspace.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from laft_fairseq.components import file as components_file
from laft_fairseq.components.schema import Control, Language, LanguageComponents
from laft_fairseq.errors import LaftError
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import Scaling

KINDS = ("other-language", "random-subspace")
MATCHED: tuple[Scaling, ...] = ("scaled", "projection")


def make(
    source: str | os.PathLike[str], out: str | os.PathLike[str], kind: str, k: int | None, seed: int
) -> None:
    """Write the control `kind` of the true components in `source` to `out`.

    `k` components are taken (default: as many as there). Raises LaftError for an unknown kind, a
    control, a shard, one language where another is needed, a file without the Gram matrix of unit
    rows, and whatever reading and writing refuse.
    """
    true = components_file.load(source, with_statistics=True)
    true.expect_true()
    true.expect_all_text()
    statistics = {tag: own.statistics for tag, own in true.languages.items() if own.statistics}
    try:
        own = {tag: shard.components(k or true.k)[0] for tag, shard in statistics.items()}
    except LaftError as error:
        raise LaftError(f"{true.path}: {error}") from None
    if kind == "other-language":
        control, given = _rotated(true, own)
    elif kind == "random-subspace":
        control, given = _random(true, statistics, own, seed)
    else:
        raise LaftError(f"--control {kind}: choose from {', '.join(KINDS)}")
    languages = {
        tag: Language.of(statistics[tag], given[tag], control.gains.get(tag)) for tag in own
    }
    file = replace(true, path=Path(out), k=k or true.k, languages=languages, control=control)
    components_file.write(file)


def removed_rms(statistics: ComponentStatistics, c: Tensor, scaling: Scaling) -> float:
    """√(mean ‖s_L‖²) over the n sentences = √(tr(cᵀ G c) / n), for orthonormal c (d, k).

    G is the Gram matrix M_LᵀM_L for `projection`, that of the unit rows for `scaled`; in float64.

    Raises:
        LaftError: the statistics do not hold the latter, or another scaling.
    """
    if scaling not in MATCHED:
        raise LaftError(f"no norm of removal {scaling!r}: choose one of {', '.join(MATCHED)}")
    gram = statistics.gram if scaling == "projection" else statistics.unit_gram
    if gram is None:
        raise LaftError("holds no Gram matrix of unit rows; make it again with `laft components`")
    c = c.to(gram)  # (d, k)
    return math.sqrt(float((c * (gram @ c)).sum().clamp(min=0)) / statistics.count)


def _rotated(true: LanguageComponents, own: dict[str, Tensor]) -> tuple[Control, dict[str, Tensor]]:
    """Each tag with the c of the next one in the file's order, the last with the first's."""
    tags = list(own)
    if len(tags) < 2:
        raise LaftError(f"{true.path}: holds {tags[0]} alone; another language's c needs two")
    of = dict(zip(tags, [*tags[1:], tags[0]], strict=True))
    return Control("other-language", of=of), {tag: own[other] for tag, other in of.items()}


def _random(
    true: LanguageComponents,
    statistics: dict[str, ComponentStatistics],
    own: dict[str, Tensor],
    seed: int,
) -> tuple[Control, dict[str, Tensor]]:
    """Subspaces drawn uniformly, one language after another in the file's order, and gains."""
    generator = torch.Generator().manual_seed(seed)
    gains: dict[str, dict[str, float]] = {}
    drawn: dict[str, Tensor] = {}
    for tag, c in own.items():
        normal = torch.randn(c.shape, generator=generator, dtype=torch.float64)  # (d, k)
        drawn[tag] = torch.linalg.qr(normal).Q.float().contiguous()
        try:
            gains[tag] = {
                scaling: removed_rms(statistics[tag], c, scaling)
                / removed_rms(statistics[tag], drawn[tag], scaling)
                for scaling in MATCHED
            }
        except (LaftError, ZeroDivisionError) as error:
            reason = error if isinstance(error, LaftError) else "no text in the random subspace"
            raise LaftError(f"{true.path}: language {tag}: {reason}") from None
    return Control("random-subspace", seed=seed, gains=gains), drawn
