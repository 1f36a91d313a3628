"""Parameters of a method by part, and what each stage trains, without allocating one."""

import re
from argparse import Namespace
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Self

import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY
from torch import nn

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.options import architectures
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.tags import symbol
from laft_fairseq.method.systems import STAGES, find, is_trained
from laft_fairseq.models.laft_mbart import LAFTMBart

CC25_ENTRIES = 250_027
MOST_ENTRIES = 10**8

# The backbone's parts: a pattern of the parameters' names, and the part's. The first match counts.
PARTS = (
    (r"^(en|de)coder\.embed_tokens\.", "vocabulary embedding (tied)"),
    (r"^(en|de)coder\.embed_positions\.", "positions"),
    (r"^encoder\.layers\.", "encoder layers"),
    (r"^decoder\.layers\.", "decoder layers"),
    (r"^(en|de)coder\.layer(norm_embedding|_norm)\.", "layer norms outside layers"),
)


class _Unfilled(LAFTMBart):
    """A model whose tensors are never filled: it may stand on the meta device."""

    def apply(self, fn: Callable[[nn.Module], Any]) -> Self:
        """Leave out BERT's initialisation, which moves tensors to the CPU."""
        return self


def count(
    arch: str,
    method: str,
    langs: Sequence[str],
    vocabulary: int = CC25_ENTRIES,
    new_langs: Sequence[str] = (),
    lora_rank: int = 0,
) -> dict[str, Any]:
    """Return the counts of ``method`` at ``arch``, with adapters for ``langs``.

    ``vocabulary`` are the backbone's entries: specials, subwords, tags and ``<mask>``; tags of
    ``new_langs``, which have adapters too, come on top. What is tied counts once. ``lora_rank`` is
    the option ``--lora-rank``.

    Returns:
        What was asked for, the parameters of the `backbone` and in `total`, by stage those that it
        trains with their shares, and each of the `parts`: whether the method has added it, its
        `count`, by stage what is `trained` of it, and the `units` that repeated ones are made of.

    Raises:
        LaftError: unknown architecture or method, no language, too small a vocabulary.
    """
    langs = [*langs, *new_langs]
    model = _build(arch, method, langs, vocabulary, len(new_langs), lora_rank)
    by_name: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        part = by_name.setdefault(
            part_of(name),
            {"name": part_of(name), "added": backbones.is_added(name), "count": 0,
             "trained": dict.fromkeys(STAGES, 0)},
        )  # fmt: skip
        part["count"] += parameter.numel()
        for stage in STAGES:
            if is_trained(name, method, stage, model.encoder.num_layers):
                part["trained"][stage] += parameter.numel()
    for name, (unit, units) in _units(model, langs).items():
        if name in by_name:
            by_name[name] |= {"unit": unit, "units": units}
    parts = sorted(by_name.values(), key=lambda part: part["added"])
    backbone = sum(part["count"] for part in parts if not part["added"])
    total = sum(part["count"] for part in parts)
    trained = {stage: sum(part["trained"][stage] for part in parts) for stage in STAGES}
    return {
        "arch": arch,
        "method": method,
        "langs": langs,
        "vocabulary": vocabulary,
        "backbone": backbone,
        "total": total,
        "stages": {
            stage: {"trained": n, "of_backbone": n / backbone, "of_total": n / total}
            for stage, n in trained.items()
        },
        "parts": parts,
    }


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
        "lora": ("layer", encoder.num_layers + len(decoder.layers)),
        "task adapter": ("layer", encoder.num_layers + len(decoder.layers)),
    }


def _build(
    arch: str, method: str, langs: Sequence[str], vocabulary: int, new: int = 0, lora_rank: int = 0
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
    args = Namespace(arch=arch, method=method, lora_rank=lora_rank)
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
    if vocabulary > MOST_ENTRIES:
        raise LaftError(f"--vocab {vocabulary}: at most {MOST_ENTRIES}")
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
