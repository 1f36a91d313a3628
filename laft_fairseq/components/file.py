"""The components file: one `.safetensors` for any number of languages.

Tensors, by tag:  components.fr_XX (d, k) fp32, mean_scaled.fr_XX and mean_projection.fr_XX (d)
fp32, the mean s_L under each scaling; gram.fr_XX (d, d), sum.fr_XX and unit_sum.fr_XX (d)
float64, which merge exactly, and unit_gram.fr_XX (d, d) float64, the Gram matrix of
the rows e_L / ‖e_L‖₂ (absent from older files).
Metadata: format, version, d, k, fingerprint of the backbone, and as JSON by tag counts (n) and
singular_values (the first k; of an ablation the norms of M_L c), by tensor checksums (CRC-32);
source_tag (`shown` to the encoder or `masked`; absent: shown), tag_layout (`suffix` or `prefix`;
absent: suffix) and control (of an ablation: which, `ablations.py`). Equal content is equal bytes.
"""

import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from laft_fairseq.components.schema import (
    Language,
    LanguageComponents,
    ablation,
    check_held,
    is_count,
    is_numbers,
    table,
)
from laft_fairseq.errors import LaftError
from laft_fairseq.files import replacing
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import Scaling

StrPath = str | os.PathLike[str]

FORMAT = "laft-language-components"
VERSION = "1"
REMEDY = "make it again with `laft components`"
# Dtype and axes of a language's tensors.
TENSORS = {
    "components": (torch.float32, "dk"),
    "mean_scaled": (torch.float32, "d"),
    "mean_projection": (torch.float32, "d"),
    "gram": (torch.float64, "dd"),
    "sum": (torch.float64, "d"),
    "unit_sum": (torch.float64, "d"),
    "unit_gram": (torch.float64, "dd"),
}
STATISTICS = ("gram", "sum", "unit_sum", "unit_gram")  # fields of ComponentStatistics
# Largest |c_Lᵀc_L - I| of components stored in fp32.
ORTHONORMAL = 1e-4


def save(
    path: StrPath,
    statistics: Mapping[str, ComponentStatistics],
    k: int,
    fingerprint: str,
    mask_source_tag: bool = False,
    layout: TagLayout = TagLayout.SUFFIX,
) -> None:
    """Compute c_L and the mean s_L of each tag and write the file, whole or not at all.

    Raises:
        LaftError: no language, widths that differ, components that cannot be computed, or a path
            that cannot be written.
    """
    path = Path(path)
    widths = {of_language.d for of_language in statistics.values()}
    if len(widths) != 1:
        raise LaftError(f"{path}: expected languages of one width, got {sorted(widths)}")
    d = widths.pop()
    languages = {}
    for tag, of_language in statistics.items():
        try:
            c, values = of_language.components(k)
            language = Language.of(of_language, c)
        except LaftError as error:
            raise LaftError(f"{path}: language {tag}: {error}") from error
        languages[tag] = replace(language, singular_values=values[:k].tolist())
    write(LanguageComponents(path, fingerprint, d, k, languages, mask_source_tag, layout=layout))


def write(file: LanguageComponents) -> None:
    """Write `file`, its statistics included, under its path, whole or not at all.

    Raises:
        LaftError: a path that cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for tag, language in file.languages.items():
        named = {name: getattr(language.statistics, name) for name in STATISTICS}
        named["components"] = language.components
        named["mean_scaled"] = language.mean_removed["scaled"]
        named["mean_projection"] = language.mean_removed["projection"]
        for name, tensor in named.items():
            if tensor is not None:
                tensors[f"{name}.{tag}"] = tensor.cpu().contiguous()
    languages = file.languages.items()
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "d": str(file.d),
        "k": str(file.k),
        "fingerprint": file.fingerprint,
        "counts": json.dumps({tag: entry.count for tag, entry in languages}),
        "singular_values": json.dumps({tag: entry.singular_values for tag, entry in languages}),
        "source_tag": "masked" if file.mask_source_tag else "shown",
        "tag_layout": file.layout.value,
        "checksums": json.dumps(
            {key: zlib.crc32(tensor.numpy().data) for key, tensor in tensors.items()}
        ),
    }
    if file.control is not None:
        metadata["control"] = json.dumps(asdict(file.control))
    with replacing(file.path) as temporary:
        temporary.write_bytes(_sorted_metadata(safetensors.torch.save(tensors, metadata)))


def _sorted_metadata(content: bytes) -> bytes:
    """Return a safetensors file with its metadata in order; the library writes them in any."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def load(
    path: StrPath, langs: Iterable[str] | None = None, with_statistics: bool = False
) -> LanguageComponents:
    """Read a components file, and check all that is read.

    `langs` are the tags to read, all by default; `with_statistics` reads the Gram matrices too
    (8 d² bytes a language), for `merge`.

    Raises:
        LaftError: a file that is missing, corrupt or truncated, not of components, of another
            version, lacks a language, or holds components that are all zero, not finite, not
            orthonormal or of another shape than it says.
    """
    path = Path(path)
    if not path.is_file():
        raise LaftError(f"{path}: no such components file; make it with `laft components`")
    try:
        with safe_open(path, framework="pt") as handle:
            reader = _Reader(path, handle)
            wanted = list(reader.counts) if langs is None else list(langs)
            check_held(path, wanted, reader.counts)
            languages = {tag: reader.language(tag, with_statistics) for tag in wanted}
    except (OSError, SafetensorError) as error:
        raise LaftError(
            f"{path}: corrupt, truncated or not a safetensors file ({error}); {REMEDY}"
        ) from error
    return replace(reader.file, languages=languages)


def merge(paths: Sequence[StrPath], out: StrPath) -> None:
    """Add the statistics of each language, unite different languages, write `out`.

    Raises:
        LaftError: a file or its copy given twice, an ablation, another backbone, d or k among
            them, and whatever `load` and `save` refuse.
    """
    first = load(paths[0])
    total: dict[str, ComponentStatistics] = {}
    grams: set[tuple[str, bytes]] = set()
    for path in paths:
        file = load(path, with_statistics=True)
        file.expect(first.fingerprint, first.k, first.d)
        file.expect_use(first.mask_source_tag, first.layout)
        file.expect_true()
        for tag, statistics in file.statistics.items():
            gram = (tag, statistics.gram.numpy().tobytes())
            if gram in grams:
                raise LaftError(
                    f"{path}: language {tag}: the same statistics as another file's: a copy would "
                    "count twice"
                )
            grams.add(gram)
            total.setdefault(tag, ComponentStatistics.zeros(first.d)).merge(statistics)
    save(out, total, first.k, first.fingerprint, first.mask_source_tag, first.layout)


def derive(path: StrPath, out: StrPath, k: int | None = None) -> None:
    """Compute k components (default: as many as there) anew from a file's Gram matrices."""
    file = load(path, with_statistics=True)
    file.expect_true()
    save(out, file.statistics, k or file.k, file.fingerprint, file.mask_source_tag, file.layout)


class _Reader:
    """An open components file: its checked metadata, and its tensors one by one."""

    def __init__(self, path: Path, handle: Any) -> None:
        self.path, self.handle, self.keys = path, handle, set(handle.keys())
        metadata: dict[str, str] = handle.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise LaftError(f"{path}: a safetensors file, but not of components; {REMEDY}")
        if metadata.get("version") != VERSION:
            raise LaftError(
                f"{path}: version {metadata.get('version')} of the components file, "
                f"this laft_fairseq reads {VERSION}; {REMEDY}"
            )
        if "shard" in metadata:
            raise LaftError(
                f"{path}: of a part of the text (`--shard`, until version 0.1.0); "
                f"{REMEDY} on all of it"
            )
        try:
            self.counts: dict[str, int] = table(metadata["counts"], is_count)
            if not self.counts or 0 in self.counts.values():
                raise ValueError("counts: no language, or one without sentences")
            values: dict[str, list[float]] = table(metadata["singular_values"], is_numbers)
            self.singular_values = {tag: values[tag] for tag in self.counts}
            self.checksums: dict[str, int] = table(metadata["checksums"], is_count)
            masked = {"masked": True, "shown": False}[metadata.get("source_tag", "shown")]
            self.file = LanguageComponents(
                path,
                metadata["fingerprint"],
                int(metadata["d"]),
                int(metadata["k"]),
                languages={},
                mask_source_tag=masked,
                control=ablation(metadata.get("control", "null")),
                layout=TagLayout(metadata.get("tag_layout", TagLayout.SUFFIX)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise LaftError(f"{path}: metadata lacks or garbles {error}; {REMEDY}") from error

    def language(self, tag: str, with_statistics: bool) -> Language:
        """Read one language; its statistics only where they are asked for."""
        d, n, statistics = self.file.d, self.counts[tag], None
        if with_statistics:
            named = {name: self._tensor(name, tag) for name in STATISTICS if name != "unit_gram"}
            if f"unit_gram.{tag}" in self.keys:
                named["unit_gram"] = self._tensor("unit_gram", tag)
            statistics = ComponentStatistics(**named, count=n)
        c = self._tensor("components", tag)  # (d, k)
        if (c.t() @ c - torch.eye(self.file.k)).abs().max() > ORTHONORMAL:
            raise self._error(tag, "components are not orthonormal")
        mean_removed: dict[Scaling, Tensor] = {
            "scaled": self._tensor("mean_scaled", tag),
            "projection": self._tensor("mean_projection", tag),
            "mean": (self._tensor("sum", tag) / n).float(),
            "none": torch.zeros(d),
        }
        gains = self.file.control.gains.get(tag, {}) if self.file.control else {}
        return Language(c, mean_removed, self.singular_values[tag], n, statistics, gains)

    def _tensor(self, name: str, tag: str) -> Tensor:
        key = f"{name}.{tag}"
        if key not in self.keys or key not in self.checksums:
            raise self._error(tag, f"{name} missing")
        dtype, axes = TENSORS[name]
        shape = tuple(getattr(self.file, axis) for axis in axes)
        tensor: Tensor = self.handle.get_tensor(key).clone()  # off the mapped file
        if tensor.shape != shape or tensor.dtype != dtype:
            held = f"{tuple(tensor.shape)} {tensor.dtype}"
            raise self._error(tag, f"{name} of {held}, expected {shape} {dtype}")
        if not torch.isfinite(tensor).all():
            raise self._error(tag, f"{name} not finite")
        if name in ("components", "gram") and not tensor.any():
            raise self._error(tag, f"{name} all zero")
        if zlib.crc32(tensor.numpy().data) != self.checksums[key]:
            raise self._error(tag, f"{name} corrupt (wrong checksum)")
        return tensor

    def _error(self, tag: str, what: str) -> LaftError:
        return LaftError(f"{self.path}: language {tag}: {what}; {REMEDY}")
