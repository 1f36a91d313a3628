"""Ablations of the language components: a file whose c_L is not the language's own.

other-language   c of the next language of the file: does it have to be this language's subspace?
random-subspace  a random k-subspace of the width d: does it have to be a language's at all?

A random subspace holds less of e_L than c_L does, so its s_L is multiplied by a gain that makes
the root mean square of ‖s_L‖ over the n sentences that of the true c_L, exactly, for `scaled` and
for `projection` alike. Above 1 the gain takes away more than the part in the subspace.
"""

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from laft_fairseq.components import file as components_file
from laft_fairseq.components.schema import Ablation, Language
from laft_fairseq.errors import LaftError
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import Scaling

KINDS = ("other-language", "random-subspace")
MATCHED: tuple[Scaling, ...] = ("scaled", "projection")

ByTag = dict[str, Tensor]  # c_L of each language, (d, k)


def make(source: str | Path, out: str | Path, kind: str, k: int | None, seed: int) -> None:
    """Write the ablation `kind`, one of `KINDS`, of the true components in `source` to `out`.

    `k` components are taken (default: as many as there).

    Raises:
        LaftError: an ablation as source, one language where another is needed, a file without the
            Gram matrix of unit rows, or what reading and writing refuse.
    """
    file = components_file.load(source, with_statistics=True)
    file.expect_true()
    k = k or file.k
    try:
        true = {tag: statistics.components(k)[0] for tag, statistics in file.statistics.items()}
        if kind == "other-language":
            ablation, components = _other_language(true)
        else:
            ablation, components = _random_subspace(true, file.statistics, seed)
    except LaftError as error:
        raise LaftError(f"{file.path}: {error}") from None
    languages = {
        tag: Language.of(statistics, components[tag], ablation.gains.get(tag))
        for tag, statistics in file.statistics.items()
    }
    components_file.write(replace(file, path=Path(out), k=k, languages=languages, control=ablation))


def removed_rms(statistics: ComponentStatistics, c: Tensor, scaling: Scaling) -> float:
    """Return √(mean ‖s_L‖²) over the n sentences = √(tr(cᵀ G c) / n), for orthonormal c (d, k).

    G is the Gram matrix M_LᵀM_L for `projection`, that of the unit rows for `scaled`; in float64.

    Raises:
        LaftError: the statistics do not hold the latter.
    """
    gram = statistics.gram if scaling == "projection" else statistics.unit_gram
    if gram is None:
        raise LaftError("holds no Gram matrix of unit rows; make it again with `laft components`")
    c = c.to(gram)  # (d, k)
    return math.sqrt(float((c * (gram @ c)).sum().clamp(min=0)) / statistics.count)


def _other_language(true: ByTag) -> tuple[Ablation, ByTag]:
    """Give each tag the c_L of the next one in the file's order, the last the first's."""
    tags = list(true)
    if len(tags) < 2:
        raise LaftError(f"holds {tags[0]} alone; another language's c needs two")
    of = dict(zip(tags, [*tags[1:], tags[0]], strict=True))
    return Ablation("other-language", of=of), {tag: true[other] for tag, other in of.items()}


def _random_subspace(
    true: ByTag, statistics: dict[str, ComponentStatistics], seed: int
) -> tuple[Ablation, ByTag]:
    """Draw a subspace uniformly for one language after another, and compute its gains."""
    generator = torch.Generator().manual_seed(seed)
    gains: dict[str, dict[str, float]] = {}
    drawn: ByTag = {}
    for tag, c in true.items():
        normal = torch.randn(c.shape, generator=generator, dtype=torch.float64)  # (d, k)
        drawn[tag] = torch.linalg.qr(normal).Q.float().contiguous()
        norms = {
            scaling: [removed_rms(statistics[tag], each, scaling) for each in (c, drawn[tag])]
            for scaling in MATCHED
        }
        if not all(random for _, random in norms.values()):
            raise LaftError(f"language {tag}: no sentence in the random subspace")
        gains[tag] = {scaling: of_true / random for scaling, (of_true, random) in norms.items()}
    return Ablation("random-subspace", seed=seed, gains=gains), drawn
