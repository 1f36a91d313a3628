"""The two declared forms of a checkpoint's model state: *slim* and *whole*.

A slim state leaves out what is frozen and equal to the backbone; its header records exactly
those names, with the backbone's fingerprint, and loading fills them from the backbone and
nothing else. A whole state (``laft export``) holds every tensor. The header is JSON in a
uint8 tensor, so that the file stays loadable weights-only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from torch import Tensor, uint8

from laft_fairseq.checkpoints.reading import (
    CONTROL,
    LONGEST_TEXT,
    ORIGIN_KEY,
    shorten,
    tensor_text,
    text_tensor,
)
from laft_fairseq.errors import LaftError

HEADER_KEY = "laft.header"
FORMAT = "laft_fairseq checkpoint"
VERSION = 1
# Options that no tensor shows, and a wrong value of which nothing else would tell.
ARCHITECTURE_OPTIONS = ("encoder_attention_heads", "decoder_attention_heads", "activation_fn",
          "no_scale_embedding")  # fmt: skip


LARGEST_HEADER = 1 << 20  # bytes
TAG = re.compile(r"[^\s,.\[\]/]{1,64}")
KINDS = ("slim", "whole")
LAYOUTS = ("suffix", "prefix")


@dataclass
class Header:
    """What a checkpoint says of itself.

    Attributes:
        kind: ``slim`` or ``whole``.
        method: the row of methods.py.
        langs: the dictionary's tags, in order, but for those new to the backbone.
        removal: the scaling of the removal that its parts were trained with.
        frozen: names left out, to be taken from the backbone (none in a whole one).
        fingerprint: of the backbone; empty without one.
        backbone: path that the backbone was read from, as a hint.
        mask_source_tag: whether the encoder saw ``<mask>`` in place of the source's tag.
        control: what its language components are a control for; empty for true ones.
        fusion_input, adapter_norm: the options that its parts were trained with; empty where it
            has no such part, and in older checkpoints.
        new_langs: the tags of languages new to the backbone, in order.
        tag_layout: where the tag stands (language_tags.TagLayout); older checkpoints: suffix.
        options: those of ARCHITECTURE_OPTIONS that it was trained with; empty in older checkpoints.
        untrained: the added parts that no training has touched (models/trained_parts.py); older
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
        """(n,) uint8."""
        return text_tensor(json.dumps(asdict(self), sort_keys=True))


def pop_header(state: dict[str, Any], path: str = "") -> tuple[Header | None, str]:
    """Take header and origin out of a model state: (header or None, path or "").

    A header that was parsed when the file was opened (record.py) is taken as it is.

    Raises:
        LaftError: a header of another format or of a newer version, or a damaged one.
    """
    origin = tensor_text(state.pop(ORIGIN_KEY)) if ORIGIN_KEY in state else ""
    tensor = state.pop(HEADER_KEY, None)
    if tensor is None or isinstance(tensor, Header):
        return tensor, origin
    name = origin or path or "checkpoint"
    values = _values(tensor, name)
    if values.get("format") != FORMAT or values.get("version") != VERSION:
        file_format, version = shorten(values.get("format")), shorten(values.get("version"))
        raise LaftError(
            f"{name}: format {file_format} version {version}, but this is {FORMAT!r} version "
            f"{VERSION}; use the laft_fairseq that wrote it"
        )
    unknown = sorted(values.keys() - {entry.name for entry in fields(Header)})
    if unknown:
        raise LaftError(
            f"{name}: its header says {shorten(unknown[0])[1:-1]}, which this laft_fairseq does "
            "not know; use the one that wrote it"
        )
    for entry in fields(Header):
        if entry.name in values:
            right = _is_right(entry.name, str(entry.type), values[entry.name])
        else:
            right = entry.default is not MISSING or entry.default_factory is not MISSING
        if not right:
            raise LaftError(f"{name}: its header's {entry.name} cannot be read; it is damaged")
    checked_architecture_options(values.get("options", {}), name)
    return Header(**values), origin


def _values(tensor: Any, name: str) -> dict[str, Any]:
    """Parse a header's JSON."""
    text = isinstance(tensor, Tensor) and tensor.dtype is uint8 and tensor.dim() == 1
    try:
        if not text or len(tensor) > LARGEST_HEADER:
            raise ValueError
        values = json.loads(tensor_text(tensor))
        if not isinstance(values, dict):
            raise ValueError
    except (ValueError, RuntimeError, RecursionError):
        raise LaftError(f"{name}: its header cannot be read; the file is damaged") from None
    return values


def _is_right(name: str, kind: str, value: Any) -> bool:
    """Whether a header's field may have the value."""
    if kind == "dict[str, Any]":
        return isinstance(value, dict) and set(value) <= set(ARCHITECTURE_OPTIONS)
    if kind == "list[str]":
        tags = name in ("langs", "new_langs")
        return isinstance(value, list) and all(
            isinstance(one, str) and (TAG.fullmatch(one) if tags else not CONTROL.search(one))
            for one in value
        )
    if kind != "str":
        return type(value).__name__ == kind
    if not isinstance(value, str) or CONTROL.search(value) or len(value) > LONGEST_TEXT:
        return False
    return value in {"kind": KINDS, "tag_layout": LAYOUTS}.get(name, [value])


def architecture_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ARCHITECTURE_OPTIONS among a model's options."""
    return {name: values[name] for name in ARCHITECTURE_OPTIONS if values.get(name) is not None}


def checked_architecture_options(values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The ARCHITECTURE_OPTIONS among a file's options, each checked.

    Raises:
        LaftError: names the file and the option.
    """
    from fairseq.utils import get_available_activation_fns

    options = architecture_options(values)
    for name, value in options.items():
        if name == "no_scale_embedding":
            right = isinstance(value, bool)
        elif name == "activation_fn":
            right = isinstance(value, str) and value in get_available_activation_fns()
        else:
            right = type(value) is int and 0 < value < 1 << 16
        if not right:
            raise LaftError(f"{path}: its {name} is {shorten(value)}, which no model can have")
    return options


def check_options(recorded: Mapping[str, Any], own: Mapping[str, Any], path: str) -> None:
    """Refuse a model whose options of ARCHITECTURE_OPTIONS are not those ``recorded`` in a file.

    Raises:
        LaftError: names the file, the option and the value to give.
    """
    for name, value in architecture_options(recorded).items():
        given, flag = own.get(name, value), "--" + name.replace("_", "-")
        if given == value:
            continue
        if isinstance(value, bool):
            there, here = ("with", "without") if value else ("without", "with")
            raise LaftError(
                f"{path}: was made {there} {flag}, but this model is {here} it; do as there"
            )
        raise LaftError(
            f"{path}: was made with {flag} {value}, but this model has {given}; give that option"
        )
