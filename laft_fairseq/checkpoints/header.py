"""The two declared forms of a checkpoint's model state: *slim* and *whole*.

A slim state leaves out what is frozen and equal to the backbone; its header records exactly
those names, with the backbone's fingerprint, and loading fills them from the backbone and
nothing else. A whole state (``laft export``) holds every tensor. The header is JSON in a
tensor of bytes, so that the file stays loadable weights-only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import Tensor, int32, uint8

from laft_fairseq.checkpoints.options import checked_options
from laft_fairseq.checkpoints.reading import (
    HEADER_KEY,
    ORIGIN_KEY,
    is_plain,
    shorten,
    tensor_text,
    text_tensor,
)
from laft_fairseq.errors import LaftError, flag

FORMAT = "laft_fairseq checkpoint"
VERSION = 1
LARGEST_HEADER = 1 << 20  # bytes
TAG = re.compile(r"[^\s,.\[\]/]{1,64}")
CHOICES = {"kind": ("slim", "whole"), "tag_layout": ("suffix", "prefix")}
# Options that no tensor shows, and a wrong value of which nothing else would tell.
ARCHITECTURE_OPTIONS = ("encoder_attention_heads", "decoder_attention_heads", "activation_fn",
          "no_scale_embedding")  # fmt: skip


@dataclass
class Header:
    """What a checkpoint says of itself.

    Attributes:
        kind: ``slim`` or ``whole``.
        method: its system (method/systems.py).
        langs: the dictionary's tags, in order, but for those new to the backbone.
        removal: the scaling of the removal that its parts were trained with.
        frozen: names left out, to be taken from the backbone (none in a whole one).
        fingerprint: of the backbone; empty without one.
        backbone: path that the backbone was read from, as a hint.
        mask_source_tag: whether the encoder saw ``<mask>`` in place of the source's tag.
        control: which ablation its language components are; empty for true ones.
        fusion_input, adapter_norm: the options that its parts were trained with; empty where it
            has no such part, and in older checkpoints.
        new_langs: the tags of languages new to the backbone, in order.
        tag_layout: where the tag stands (languages/layout.py); older checkpoints: suffix.
        options: those of ARCHITECTURE_OPTIONS that it was trained with; empty in older checkpoints.
        untrained: the added parts that no training has touched (untrained_parts.py); older
            checkpoints do not say, and name none.
    """

    kind: str
    method: str
    langs: list[str]
    removal: str
    frozen: list[str] = field(default_factory=list)
    fingerprint: str = ""
    backbone: str = ""
    mask_source_tag: bool = False
    control: str = ""
    fusion_input: str = ""
    adapter_norm: str = ""
    tag_layout: str = "suffix"
    new_langs: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    untrained: list[str] = field(default_factory=list)
    format: str = FORMAT
    version: int = VERSION

    def to_tensor(self) -> Tensor:
        """The header as JSON, (n,) int32 of bytes."""
        return text_tensor(json.dumps(asdict(self), sort_keys=True))


def pop_header(state: dict[str, Any], path: str = "") -> tuple[Header | None, str]:
    """Take header and origin out of a model state: (header or None, path or "").

    A header that was parsed when the file was opened (record.py) is taken as it is.

    Raises:
        LaftError: a header of another format or of a newer version, or a damaged one.
    """
    origin = tensor_text(state.pop(ORIGIN_KEY)) if ORIGIN_KEY in state else ""
    header = state.pop(HEADER_KEY, None)
    if header is None or isinstance(header, Header):
        return header, origin
    return _parse(header, origin or path or "checkpoint"), origin


def _parse(tensor: Any, path: str) -> Header:
    """The header in a tensor (n,) of bytes, each of its values checked."""
    try:
        is_bytes = tensor.dtype in (int32, uint8)  # uint8: of older checkpoints
        if not is_bytes or tensor.dim() != 1 or len(tensor) > LARGEST_HEADER:
            raise ValueError
        values = dict(json.loads(tensor_text(tensor)))
    except (AttributeError, TypeError, ValueError, RuntimeError, RecursionError):
        raise LaftError(
            f"{path}: its header cannot be read; the file is damaged, or an average of checkpoints "
            "that an older laft_fairseq wrote, which only newer ones can be averaged of"
        ) from None
    if values.get("format") != FORMAT or values.get("version") != VERSION:
        file_format, version = shorten(values.get("format")), shorten(values.get("version"))
        raise LaftError(
            f"{path}: format {file_format} version {version}, but this is {FORMAT!r} version "
            f"{VERSION}; use the laft_fairseq that wrote it"
        )
    known = {entry.name: str(entry.type) for entry in fields(Header)}
    for name, value in values.items():
        if name not in known:
            raise LaftError(
                f"{path}: its header says {shorten(name)[1:-1]}, which this laft_fairseq does not "
                "know; use the one that wrote it"
            )
        if not _is_valid(name, known[name], value):
            raise LaftError(f"{path}: its header's {name} cannot be read; it is damaged")
    checked_architecture_options(values.get("options", {}), path)
    try:
        return Header(**values)
    except TypeError:
        raise LaftError(f"{path}: its header is not complete; the file is damaged") from None


def _is_valid(name: str, kind: str, value: Any) -> bool:
    """Whether a header's field, of the type ``kind``, may have the value."""
    if kind == "list[str]" and isinstance(value, list):
        strings = all(isinstance(entry, str) and is_plain(entry) for entry in value)
        return strings and ("langs" not in name or all(map(TAG.fullmatch, value)))
    if kind == "dict[str, Any]" and isinstance(value, dict):
        return set(value) <= set(ARCHITECTURE_OPTIONS)
    if kind == "str" and isinstance(value, str):
        return is_plain(value) and value in CHOICES.get(name, (value,))
    return type(value).__name__ == kind


def architecture_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ARCHITECTURE_OPTIONS among a model's options."""
    return {name: values[name] for name in ARCHITECTURE_OPTIONS if values.get(name) is not None}


def checked_architecture_options(values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Those of ARCHITECTURE_OPTIONS among a file's options, of mBART's types and ranges.

    Raises:
        LaftError: names the file and the option.
    """
    from fairseq.models.bart import BARTModel

    return checked_options(BARTModel.add_args, architecture_options(values), path)


def check_options(recorded: Mapping[str, Any], given: Mapping[str, Any], path: str) -> None:
    """Refuse a model whose options of ARCHITECTURE_OPTIONS are not those ``recorded`` in a file.

    Raises:
        LaftError: names the file, the option and the value to give.
    """
    for name, value in architecture_options(recorded).items():
        other, option = given.get(name, value), flag(name)
        if other == value:
            continue
        if isinstance(value, bool):
            there, here = ("with", "without") if value else ("without", "with")
            raise LaftError(
                f"{path}: was made {there} {option}, but this model is {here} it; do as there"
            )
        raise LaftError(
            f"{path}: was made with {option} {value}, but this model has {other}; give that option"
        )
