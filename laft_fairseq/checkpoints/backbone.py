"""Find, read and check a pretrained mBART; tell one from another by its fingerprint."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from laft_fairseq.checkpoints.header import checked_architecture_options
from laft_fairseq.checkpoints.reading import HEADER_KEY
from laft_fairseq.checkpoints.record import Checkpoint, open_checkpoint
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.training.frozen_weights import FileState, drop_pages

ENVIRONMENT = "LAFT_BACKBONE"
FINGERPRINT_CHUNK = 1 << 22  # numbers rounded at once
TIED = ("decoder.embed_tokens.weight", "decoder.output_projection.weight")
EMBEDDING = "encoder.embed_tokens.weight"
# Names by which a state dict shows that it is a pre-norm transformer.
MARKS = (EMBEDDING, "encoder.layer_norm.weight", "decoder.layer_norm.weight")
ADDED = (".task_module.", ".fusion.", ".language_adapter.", ".language_components.", ".gate.",
         ".task_adapter.", ".lora.", ".new_tag_rows.")  # fmt: skip


def is_added(name: str) -> bool:
    """Whether a tensor of this name was added to mBART by a method."""
    return any(part in f".{name}" for part in ADDED)


def is_backbone(name: str) -> bool:
    """Whether a tensor of this name is part of mBART (fairseq's version marks are not)."""
    return not is_added(name) and not name.endswith(".version") and name != HEADER_KEY


def fingerprint(state: Mapping[str, Tensor], mapped: bool = False) -> str:
    """SHA-256 over names, shapes and contents rounded to fp16, tied copies left out.

    fp16, fp32, fairseq and converted copies of the same weights agree. Tensors that are mapped
    from a file, and unchanged, are given back one by one.
    """
    digest = hashlib.sha256()
    for name in sorted(name for name in state if is_backbone(name) and name not in TIED):
        tensor = state[name]
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        for part in tensor.detach().reshape(-1).split(FINGERPRINT_CHUNK):
            digest.update(part.to("cpu", torch.float16).numpy().data)
        if mapped:
            drop_pages(tensor)
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Backbone:
    """A pretrained mBART: its path, its tensors under fairseq's names.

    ``langs`` are its languages in order and ``layout`` is where their tags stand, if known.
    ``options`` are those of ARCHITECTURE_OPTIONS that the file records, ``file`` is the file as it
    was when it was mapped.
    """

    path: str
    state: dict[str, Tensor]
    langs: list[str] | None
    layout: TagLayout | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    file: FileState | None = None

    @cached_property
    def fingerprint(self) -> str:
        """See :func:`fingerprint`."""
        return fingerprint(self.state, self.file is not None)


def read(path: str) -> Backbone:
    """Read a backbone; large files are mapped, not copied.

    Raises:
        LaftError: unreadable, unsafe, or not an mBART, which ties its embeddings.
    """
    return backbone_of(open_checkpoint(path))


def backbone_of(checkpoint: Checkpoint) -> Backbone:
    """The backbone that an open file holds."""
    path, file = checkpoint.path, FileState.of(checkpoint.path)
    if not checkpoint.state:
        raise LaftError(f"{path}: not a fairseq checkpoint of mBART: it has no 'model'")
    if checkpoint.is_slim:
        raise LaftError(
            f"{path}: a slim checkpoint is no backbone; make it whole first with `laft export`"
        )
    added = next((name for name in checkpoint.state if is_added(name)), None)
    if added is not None:
        raise LaftError(f"{path}: holds {added}: a trained model, not a plain mBART backbone")
    state = unpack_attention(checkpoint.state)
    missing = [name for name in MARKS if name not in state]
    if missing:
        raise LaftError(
            f"{path}: not a pre-norm mBART or M2M-100 (no {missing[0]}); "
            "give the backbone's own model.pt, or convert one first"
        )
    tie(state, path)
    tensors = {name: tensor for name, tensor in state.items() if is_backbone(name)}
    recorded = checkpoint.header.options if checkpoint.header is not None else {}
    options = checked_architecture_options(recorded | checkpoint.options["model"], path)
    return Backbone(path, tensors, checkpoint.langs, checkpoint.layout, options, file)


def tie(state: dict[str, Tensor], path: str) -> None:
    """Let every copy of the embedding in ``state`` be the one tensor.

    Raises:
        LaftError: one of them is another matrix, for which mBART has no place.
    """
    embedding = state[EMBEDDING]
    for name in TIED:
        copy = state.get(name, embedding)
        same = copy.data_ptr() == embedding.data_ptr() and copy.shape == embedding.shape
        if not (same or (copy.dtype == embedding.dtype and torch.equal(copy, embedding))):
            raise LaftError(
                f"{path}: its {name} is another than {EMBEDDING}; only models that tie them, as "
                "mBART does, can be a backbone"
            )
        state[name] = embedding


def unpack_attention(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Split each ``in_proj`` into ``q_proj``, ``k_proj`` and ``v_proj``, without copying.

    fairseq of 2019, which wrote mbart.cc25.v2, kept the three (d, d) projections of an attention
    as one (3d, d), and their biases as one (3d,).
    """
    unpacked: dict[str, Tensor] = {}
    for name, tensor in state.items():
        stem, packed, kind = name.rpartition(".in_proj_")
        if packed:
            if not tensor.dim() or len(tensor) % 3:
                raise LaftError(f"{name}: is {tuple(tensor.shape)}, not three projections in one")
            for projection, part in zip("qkv", tensor.chunk(3), strict=True):
                unpacked[f"{stem}.{projection}_proj.{kind}"] = part
        else:
            unpacked[name] = tensor
    return unpacked


def check(
    backbone: Backbone, shapes: Mapping[str, torch.Size], langs: Sequence[str], layout: TagLayout
) -> None:
    """Refuse a backbone that does not fit the model's ``shapes`` or the dictionary's tags.

    Raises:
        LaftError: names the file, what differs and the remedy.
    """
    path = backbone.path
    rows, entries = backbone.state[EMBEDDING].size(0), shapes[EMBEDDING][0]
    if rows != entries:
        raise LaftError(
            f"{path}: has {rows} embedding rows, but dict.txt, {len(langs)} language tags and "
            f"<mask> make {entries}; use the backbone's own dict.txt and its --langs or langs.txt, "
            "and name languages that it never saw by --new-langs"
        )
    if backbone.langs is not None and list(langs) != backbone.langs:
        raise LaftError(
            f"{path}: its languages are {','.join(backbone.langs)}, in this order; "
            f"--langs or langs.txt says {','.join(langs)}"
        )
    if backbone.layout is not None and backbone.layout is not layout:
        raise LaftError(
            f"{path}: its tag layout is {backbone.layout}, but --tag-layout or the data's "
            f"tag-layout.txt says {layout}; use the backbone's"
        )
    held = {name: tensor.shape for name, tensor in backbone.state.items()}
    for name in (*shapes, *sorted(held.keys() - shapes)):
        if held.get(name) != shapes.get(name):
            there = tuple(held[name]) if name in held else "missing"
            wanted = tuple(shapes[name]) if name in shapes else "none"
            raise LaftError(
                f"{path}: {name} is {there}, but this --arch wants {wanted}; choose the --arch of "
                "the backbone's size"
            )


def places(option: str | None, origin: str, recorded: str) -> list[str]:
    """The paths at which :func:`find` looks, in its order; what is not given is left out."""
    folder = Path(origin).parent
    named = [option, os.environ.get(ENVIRONMENT), str(folder / "backbone.pt")]
    hints = [str(folder / Path(recorded).name), recorded] if recorded else []
    return [path for path in (*named, *hints) if path]


def find(option: str | None, origin: str, recorded: str, expected: str) -> Backbone:
    """The backbone of the slim checkpoint ``origin``, as :func:`places` looks for it.

    Raises:
        LaftError: none found, or another than that of the ``expected`` fingerprint.
    """
    named = option or os.environ.get(ENVIRONMENT)
    if named and not os.path.exists(named):
        raise LaftError(f"{named}: no such backbone ({'--backbone' if option else ENVIRONMENT})")
    candidates = [named] if named else places(None, origin, recorded)
    for candidate in filter(os.path.exists, candidates):
        checkpoint = open_checkpoint(candidate)
        if checkpoint.is_slim and not named:
            continue  # a training's own file, of its backbone's name
        backbone = backbone_of(checkpoint)
        if backbone.fingerprint != expected:
            raise LaftError(
                f"{candidate}: another backbone (fingerprint {backbone.fingerprint}) than the "
                f"one {origin} was trained on ({expected}); give that one "
                f"by --backbone, {ENVIRONMENT} or as backbone.pt beside the checkpoint"
            )
        return backbone
    raise LaftError(
        f"{origin}: a slim checkpoint needs its backbone, and {recorded} is not "
        f"there; give it by --backbone, {ENVIRONMENT} or as backbone.pt beside the checkpoint"
    )
