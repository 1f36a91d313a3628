"""The language components' file: one `.safetensors` for any number of languages.

Tensors, by tag:  components.fr_XX (d, k) fp32, mean_scaled.fr_XX and mean_projection.fr_XX (d)
fp32, the mean s_L under each scaling; gram.fr_XX (d, d), sum.fr_XX and unit_sum.fr_XX (d)
float64, from which shards merge exactly, and unit_gram.fr_XX (d, d) float64, the Gram matrix of
the rows e_L / ‖e_L‖₂ (absent from older files).
Metadata: format, version, d, k, fingerprint of the backbone, and as JSON by tag counts (n) and
singular_values (the first k; of a control the norms of M_L c), by tensor checksums (CRC-32);
source_tag (`shown` to the encoder or `masked`; absent: shown), tag_layout (`suffix` or `prefix`;
absent: suffix), of a control what it is, and of a shard which (component_shards.py). A shard holds
what is merged alone, neither components nor means.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from laft_fairseq.components.schema import Control, Language, LanguageComponents, Shard, check_held
from laft_fairseq.components.shards import check_complete
from laft_fairseq.errors import LaftError
from laft_fairseq.files import replacing
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import Scaling

StrPath = str | os.PathLike[str]

FORMAT = "laft-language-components"
VERSION = "1"
REMEDY = "make it again with `laft components`"
# Largest |c_Lᵀc_L - I| of components stored in fp32.
ORTHONORMAL = 1e-4


def save(
    path: StrPath,
    statistics: Mapping[str, ComponentStatistics],
    k: int,
    fingerprint: str,
    mask_source_tag: bool = False,
    layout: TagLayout = TagLayout.SUFFIX,
    shard: Shard | None = None,
) -> None:
    """Compute c_L and the mean s_L of each tag and write the file, whole or not at all.

    Of a shard only the statistics are written; whether they suffice is judged of the whole.

    Raises LaftError for no language, widths that differ, components that cannot be computed,
    and a path that cannot be written.
    """
    path = Path(path)
    widths = {own.d for own in statistics.values()}
    if len(widths) != 1:
        raise LaftError(f"{path}: expected languages of one width, got {sorted(widths)}")
    languages = {}
    for tag, own in statistics.items():
        if shard is not None:
            languages[tag] = Language.part(own.d, own.count, own)
            continue
        try:
            c, values = own.components(k)
            languages[tag] = replace(Language.of(own, c), singular_values=values[:k].tolist())
        except LaftError as error:
            raise LaftError(f"{path}: language {tag}: {error}") from error
    d = widths.pop()
    write(
        LanguageComponents(
            path, fingerprint, d, k, languages, mask_source_tag, layout=layout, shard=shard
        )
    )


def write(file: LanguageComponents) -> None:
    """Write `file`, its statistics included, under its path, whole or not at all.

    Raises LaftError for a path that cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for tag, language in file.languages.items():
        shard, mean = language.statistics, language.mean_removed
        assert shard is not None
        named = {"gram": shard.gram, "sum": shard.sum, "unit_sum": shard.unit_sum}
        if file.shard is None:
            named |= {"components": language.components, "mean_scaled": mean["scaled"]}
            named["mean_projection"] = mean["projection"]
        if shard.unit_gram is not None:
            named["unit_gram"] = shard.unit_gram
        tensors |= {f"{name}.{tag}": named[name].cpu().contiguous() for name in named}
    by_tag = file.languages.items()
    metadata = {"format": FORMAT, "version": VERSION, "d": str(file.d), "k": str(file.k)}
    metadata["fingerprint"] = file.fingerprint
    metadata["counts"] = json.dumps({tag: language.count for tag, language in by_tag})
    metadata["singular_values"] = json.dumps({tag: own.singular_values for tag, own in by_tag})
    metadata["source_tag"] = "masked" if file.mask_source_tag else "shown"
    metadata["tag_layout"] = file.layout.value
    if file.control is not None:
        metadata["control"] = json.dumps(asdict(file.control))
    if file.shard is not None:
        metadata["shard"] = json.dumps(asdict(file.shard))
    metadata["checksums"] = json.dumps({key: _checksum(tensors[key]) for key in tensors})
    _write(file.path, safetensors.torch.save(tensors, metadata))


def load(
    path: StrPath, langs: Iterable[str] | None = None, with_statistics: bool = False
) -> LanguageComponents:
    """Read a components file, and check all that is read.

    `langs` are the tags to read, all by default; `with_statistics` reads the Gram matrices too
    (8 d² bytes a language), for `merge`.

    Raises LaftError for a file that is missing, corrupt or truncated, not of components, of
    another version, lacks a language, or holds components that are all zero, not finite, not
    orthonormal or of another shape than it says.
    """
    path = Path(path)
    if not path.is_file():
        raise LaftError(f"{path}: no such components file; make it with `laft components`")
    try:
        with safe_open(path, framework="pt") as handle:
            reader = _Reader(path, handle, handle.metadata() or {})
            wanted = list(reader.counts) if langs is None else list(langs)
            check_held(path, wanted, reader.counts)
            languages = {tag: reader.language(tag, with_statistics) for tag in wanted}
    except (OSError, SafetensorError) as error:
        raise LaftError(
            f"{path}: corrupt, truncated or not a safetensors file ({error}); {REMEDY}"
        ) from error
    return LanguageComponents(
        path, reader.fingerprint, reader.d, reader.k, languages, reader.masked, reader.control,
        reader.layout, reader.shard,
    )  # fmt: skip


def merge(paths: Iterable[StrPath], out: StrPath) -> None:
    """Add the shards of each language, unite different languages, write `out`.

    Raises LaftError for no file, a file or its copy given twice, another backbone, d or k among
    them, shards (`laft components --shard`) that are not exactly those of one text, and whatever
    `load` and `save` refuse.
    """
    files = [Path(path) for path in paths]
    if len({file.resolve() for file in files}) != len(files):
        raise LaftError(f"{', '.join(map(str, files))}: a file given twice would count twice")
    check_complete(load(file) for file in files)
    first: LanguageComponents | None = None
    total: dict[str, ComponentStatistics] = {}
    grams: dict[str, set[bytes]] = {}
    for file in files:
        shard = load(file, with_statistics=True)
        first = first or shard
        shard.expect(first.fingerprint, first.k, first.d)
        shard.expect_use(first.mask_source_tag, first.layout)
        shard.expect_true()
        for tag, language in shard.languages.items():
            assert language.statistics is not None
            gram = language.statistics.gram.numpy().tobytes()
            if language.count and gram in grams.setdefault(tag, set()):
                raise LaftError(f"{file}: language {tag}: the same statistics as another file's: a "
                                "copy would count twice")  # fmt: skip
            grams.setdefault(tag, set()).add(gram)
            total.setdefault(tag, ComponentStatistics.zeros(first.d)).merge(language.statistics)
    if first is None:
        raise LaftError("no components file to merge")
    save(out, total, first.k, first.fingerprint, first.mask_source_tag, first.layout)


def derive(path: StrPath, out: StrPath, k: int | None = None) -> None:
    """Compute k components (default: as many as there) anew from a file's Gram matrices.

    Raises LaftError for a control, and whatever `load` and `save` refuse.
    """
    file = load(path, with_statistics=True)
    file.expect_true()
    file.expect_all_text()
    statistics = {tag: own.statistics for tag, own in file.languages.items() if own.statistics}
    save(out, statistics, k or file.k, file.fingerprint, file.mask_source_tag, file.layout)


class _Reader:
    """One open components file: its metadata, checked, and its tensors, each checked as read."""

    def __init__(self, path: Path, handle: Any, metadata: dict[str, str]) -> None:
        self.path, self.handle, self.keys = path, handle, set(handle.keys())
        if metadata.get("format") != FORMAT:
            raise LaftError(f"{path}: a safetensors file, but not of components; {REMEDY}")
        if metadata.get("version") != VERSION:
            raise LaftError(
                f"{path}: version {metadata.get('version')} of the components file, "
                f"this laft_fairseq reads {VERSION}; {REMEDY}"
            )
        try:
            self.fingerprint = metadata["fingerprint"]
            self.d, self.k = int(metadata["d"]), int(metadata["k"])
            self.counts: dict[str, int] = json.loads(metadata["counts"])
            values: dict[str, list[float]] = json.loads(metadata["singular_values"])
            self.singular_values = {tag: values[tag] for tag in self.counts}
            self.checksums: dict[str, int] = dict(json.loads(metadata["checksums"]))
            self.masked = {"masked": True, "shown": False}[metadata.get("source_tag", "shown")]
            self.layout = TagLayout(metadata.get("tag_layout", "suffix"))
            control = metadata.get("control")
            self.control = Control(**json.loads(control)) if control else None
            shard = metadata.get("shard")
            self.shard = Shard(**json.loads(shard)) if shard else None
        except (KeyError, TypeError, ValueError) as error:
            raise LaftError(f"{path}: metadata lacks or garbles {error}; {REMEDY}") from error

    def language(self, tag: str, with_statistics: bool) -> Language:
        d, k, n, single, double = self.d, self.k, self.counts[tag], torch.float32, torch.float64
        statistics = self._statistics(tag) if with_statistics else None
        if self.shard is not None:
            return Language.part(d, n, statistics)
        c = self._tensor("components", tag, single, d, k)
        if (c.t() @ c - torch.eye(k)).abs().max() > ORTHONORMAL:
            raise self._error(tag, "components are not orthonormal")
        mean_removed: dict[Scaling, Tensor] = {
            "scaled": self._tensor("mean_scaled", tag, single, d),
            "projection": self._tensor("mean_projection", tag, single, d),
            "mean": (self._tensor("sum", tag, double, d) / n).float(),
            "none": torch.zeros(d),
        }
        gains = self.control.gains.get(tag, {}) if self.control else {}
        return Language(c, mean_removed, self.singular_values[tag], n, statistics, gains)

    def _statistics(self, tag: str) -> ComponentStatistics:
        d, double, unit_gram = self.d, torch.float64, None
        gram = self._tensor("gram", tag, double, d, d)
        total = self._tensor("sum", tag, double, d)
        unit_total = self._tensor("unit_sum", tag, double, d)
        if f"unit_gram.{tag}" in self.keys:
            unit_gram = self._tensor("unit_gram", tag, double, d, d)
        return ComponentStatistics(gram, total, unit_total, self.counts[tag], unit_gram)

    def _tensor(self, name: str, tag: str, dtype: torch.dtype, *shape: int) -> Tensor:
        key = f"{name}.{tag}"
        if key not in self.keys or key not in self.checksums:
            raise self._error(tag, f"{name} missing")
        tensor: Tensor = self.handle.get_tensor(key).clone()  # off the mapped file
        if tensor.shape != shape or tensor.dtype != dtype:
            held = f"{tuple(tensor.shape)} {tensor.dtype}"
            raise self._error(tag, f"{name} of {held}, expected {shape} {dtype}")
        if not torch.isfinite(tensor).all():
            raise self._error(tag, f"{name} not finite")
        if name in ("components", "gram") and not tensor.any() and self.shard is None:
            raise self._error(tag, f"{name} all zero")
        if _checksum(tensor) != self.checksums[key]:
            raise self._error(tag, f"{name} corrupt (wrong checksum)")
        return tensor

    def _error(self, tag: str, what: str) -> LaftError:
        return LaftError(f"{self.path}: language {tag}: {what}; {REMEDY}")


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.numpy().data)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise LaftError(f"{path}: cannot be written ({error.strerror})") from error
