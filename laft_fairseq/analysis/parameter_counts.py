"""Parameters of a method by part, and what each stage trains, without allocating one."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from torch import nn

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.tags import symbol
from laft_fairseq.method.systems import STAGES, find, is_trained
from laft_fairseq.models.laft_mbart import LAFTMBart

CC25_ENTRIES = 250_027

# The backbone's parts: a pattern of the parameters' names, and the part's. The first match counts.
PARTS = (
    (r"^(en|de)coder\.embed_tokens\.", "vocabulary embedding (tied)"),
    (r"^(en|de)coder\.embed_positions\.", "positions"),
    (r"^encoder\.layers\.", "encoder layers"),
    (r"^decoder\.layers\.", "decoder layers"),
    (r"^(en|de)coder\.layer(norm_embedding|_norm)\.", "layer norms outside layers"),
)


@dataclass(frozen=True)
class Part:
    """Parameters of one part: how many there are, and how many each stage trains."""

    name: str
    added: bool  # by the method, to the backbone
    count: int
    trained: dict[str, int]  # by stage
    unit: str = ""  # what it is made of: "encoder layer"
    units: int = 1  # how many of those

    @property
    def each(self) -> float:
        """Parameters of one unit."""
        return self.count / self.units


@dataclass(frozen=True)
class Counts:
    """All parts of a method at an architecture, for given languages."""

    arch: str
    method: str
    langs: list[str]
    vocabulary: int
    parts: list[Part]

    @property
    def backbone(self) -> int:
        """Parameters of the backbone."""
        return sum(part.count for part in self.parts if not part.added)

    @property
    def total(self) -> int:
        """Parameters of the backbone and of all that the method adds."""
        return sum(part.count for part in self.parts)

    def trained(self, stage: str) -> int:
        """Parameters that ``stage`` trains."""
        return sum(part.trained[stage] for part in self.parts)


class _Unfilled(LAFTMBart):
    """A model whose tensors are never filled: it may stand on the meta device."""

    def apply(self, fn: Callable[[nn.Module], Any]) -> _Unfilled:
        """Leave out BERT's initialisation, which moves tensors to the CPU."""
        return self


def architectures() -> list[str]:
    """Return the names that ``--arch`` takes for our model."""
    return sorted(name for name, model in ARCH_MODEL_REGISTRY.items() if model is LAFTMBart)


def count(
    arch: str,
    method: str,
    langs: Sequence[str],
    vocabulary: int = CC25_ENTRIES,
    new_langs: Sequence[str] = (),
) -> Counts:
    """Count the parameters of ``method`` at ``arch``, with adapters for ``langs``.

    ``vocabulary`` are the backbone's entries: specials, subwords, tags and ``<mask>``; tags of
    ``new_langs``, which have adapters too, come on top. What is tied counts once.

    Raises:
        LaftError: unknown architecture or method, no language, too small a vocabulary.
    """
    langs = [*langs, *new_langs]
    model = _build(arch, method, langs, vocabulary, len(new_langs))
    parts: dict[str, dict[str, int]] = {}
    added: set[str] = set()
    for name, parameter in model.named_parameters():
        part = part_of(name)
        if backbones.is_added(name):
            added.add(part)
        numbers = parts.setdefault(part, dict.fromkeys(("all", *STAGES), 0))
        numbers["all"] += parameter.numel()
        for stage in STAGES:
            if is_trained(name, method, stage, model.encoder.num_layers):
                numbers[stage] += parameter.numel()
    units = _units(model, langs)
    rows = [
        Part(part, part in added, numbers.pop("all"), numbers, *units.get(part, ("", 1)))
        for part, numbers in sorted(parts.items(), key=lambda item: item[0] in added)
    ]
    return Counts(arch, method, list(langs), vocabulary, rows)


def part_of(name: str) -> str:
    """Return the part that the parameter of this name belongs to."""
    for mark in backbones.ADDED:
        if mark in f".{name}":
            return mark.strip(".").replace("_", " ")
    for pattern, part in PARTS:
        if re.match(pattern, name):
            return part
    return name


def _units(model: LAFTMBart, langs: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return what the repeated parts are made of, and of how many."""
    encoder, decoder = model.encoder, model.decoder
    task_layers = len(encoder.task_module) if encoder.task_module is not None else 1
    return {
        "encoder layers": ("encoder layer", encoder.num_layers),
        "decoder layers": ("decoder layer", len(decoder.layers)),
        "task module": ("encoder layer", task_layers),
        "language adapter": ("layer and language", len(decoder.layers) * len(langs)),
        "task adapter": ("layer", encoder.num_layers + len(decoder.layers)),
    }


def _build(
    arch: str, method: str, langs: Sequence[str], vocabulary: int, new: int = 0
) -> LAFTMBart:
    """Return the model on the meta device; the last ``new`` of ``langs`` are new languages."""
    if arch not in architectures():
        raise LaftError(f"--arch {arch}: unknown; choose from {', '.join(architectures())}")
    find(method)
    dictionary = _dictionary(langs, vocabulary, new)
    task = SimpleNamespace(
        stage=STAGES[0],
        tags=langs,
        layout=TagLayout.SUFFIX,  # no parameter depends on it
        source_dictionary=dictionary,
        target_dictionary=dictionary,
    )
    args = Namespace(arch=arch, method=method)
    ARCH_CONFIG_REGISTRY[arch](args)
    with torch.device("meta"):
        model = _Unfilled.build_model(args, task)
        for tag in langs:
            model.add_adapter(tag)
    return model


def _dictionary(langs: Sequence[str], vocabulary: int, new: int) -> Dictionary:
    """Return a dictionary of ``vocabulary`` entries, nameless subwords among them, and new tags."""
    dictionary, known = Dictionary(), len(langs) - new
    if known < 1:
        raise LaftError("--langs: name at least one language, such as en_XX")
    subwords = vocabulary - len(dictionary) - known - 1
    if subwords < 0:
        raise LaftError(
            f"--vocab {vocabulary}: too few entries for the specials, {known} language tags and "
            "<mask>"
        )
    dictionary.symbols += [""] * subwords
    for entry in [*map(symbol, langs[:known]), MASK, *map(symbol, langs[known:])]:
        dictionary.add_symbol(entry)
    return dictionary
