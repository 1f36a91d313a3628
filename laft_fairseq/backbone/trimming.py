"""A backbone with fewer pieces: embedding, dictionary and sentencepiece model cut down together.

The embedding is tied to the output projection, so a piece that goes takes its row and its logit
with it. For a text of kept pieces every other logit stays what it was: encoder and decoder read
kept rows only, and each logit is one row times the decoder's output. What changes is the softmax:
its sum runs over the kept pieces, so each log-probability rises by -log(1 - p), p what the dropped
pieces had in that place. Greedy search writes the same text wherever the whole model would write
no dropped piece. In beam search p differs between hypotheses, so that two of nearly the same score
can change places; where p is negligible they do not. Language tags are pieces of this kind too.
"""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laft_fairseq.backbone.folder import MODEL, BackboneFolder
from laft_fairseq.backbone.subword_selection import Counts, PieceModel, Selection
from laft_fairseq.backbone.subword_selection import read as read_pieces
from laft_fairseq.checkpoints.backbone import EMBEDDING, TIED, Backbone, unpack_attention
from laft_fairseq.checkpoints.backbone import read as read_backbone
from laft_fairseq.checkpoints.record import HEAD_WIDTH, open_checkpoint
from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from laft_fairseq.languages.dictionary import dictionary_tags, load_dictionary
from laft_fairseq.languages.layout import TagLayout, tag_layout
from laft_fairseq.languages.vocabulary_files import DICTIONARY, SENTENCEPIECE

BATCH = 10_000  # texts
WIDTHS = ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")
OPTIONS = ("arch", *(f"{side}_{width}" for side in ("encoder", "decoder") for width in WIDTHS))


@dataclass(frozen=True)
class Folder:
    """A backbone's folder, read: ``model.pt`` (any name), and the files beside it."""

    path: Path
    backbone: Backbone
    pieces: PieceModel
    tags: list[str]
    layout: TagLayout


@dataclass
class Coverage:
    """Texts segmented by the whole and the trimmed model; covered: by kept pieces alone."""

    texts: int = 0
    covered_texts: int = 0
    tokens: int = 0
    kept_tokens: int = 0


def read_folder(model_path: str | Path) -> Folder:
    """Read the files of a backbone and check that they fit each other.

    Raises:
        LaftError: one is missing or damaged, or their entries do not agree.
    """
    home = Path(model_path).parent
    backbone = read_backbone(str(model_path))
    pieces = read_pieces(home / SENTENCEPIECE)
    tags = dictionary_tags(home)
    symbols = load_dictionary(home, tags).symbols
    held = symbols[len(sentencepiece_dictionary.FAIRSEQ_FIRST) : len(symbols) - len(tags) - 1]
    if held != pieces.names[len(sentencepiece_dictionary.FIRST) :]:
        raise LaftError(f"{home / DICTIONARY}: does not hold the pieces of {home / SENTENCEPIECE}")
    rows = backbone.state[EMBEDDING].size(0)
    if rows != len(symbols):
        raise LaftError(
            f"{model_path}: has {rows} embedding rows, but {home / DICTIONARY}, {len(tags)} "
            f"language tags and <mask> make {len(symbols)}; put the backbone's own langs.txt there"
        )
    if backbone.langs is not None and backbone.langs != tags:
        raise LaftError(
            f"{model_path}: its languages are {','.join(backbone.langs)}, in this order; "
            f"{home}/langs.txt says {','.join(tags)}"
        )
    layout = tag_layout(home)
    if backbone.layout not in (None, layout):
        raise LaftError(
            f"{model_path}: its tag layout is {backbone.layout}, but {home}/tag-layout.txt says "
            f"{layout}"
        )
    return Folder(home, backbone, pieces, tags, layout)


def count_pieces(model: Any, texts: Iterable[str], workers: int = 1) -> tuple[Counts, int]:
    """((n,) occurrences of each piece of a ``SentencePieceProcessor``, the number of texts)."""
    counts, number = np.zeros(model.get_piece_size(), dtype=np.int64), 0
    for batch in _batches(texts):
        number += len(batch)
        found = list(itertools.chain.from_iterable(model.encode(batch, num_threads=workers)))
        counts += np.bincount(np.array(found, dtype=np.int64), minlength=len(counts))
    return counts, number


def compare(
    whole: Any, small: Any, new_ids: Counts, texts: Iterable[str], workers: int = 1
) -> Coverage:
    """Segment texts by both models; refuse if one of kept pieces comes out differently.

    Args:
        whole, small: ``SentencePieceProcessor`` before and after.
        new_ids: (n,) of each piece in the small model, -1 where it was dropped.
        texts: raw text.
        workers: threads.

    Raises:
        LaftError: names the first such text.
    """
    seen = Coverage()
    for batch in _batches(texts):
        pairs = zip(
            batch,
            whole.encode(batch, num_threads=workers),
            small.encode(batch, num_threads=workers),
            strict=True,
        )
        for text, before, after in pairs:
            mapped = new_ids[np.array(before, dtype=np.int64)]
            kept = int((mapped >= 0).sum())
            seen.texts += 1
            seen.tokens += len(mapped)
            seen.kept_tokens += kept
            if kept < len(mapped):
                continue
            seen.covered_texts += 1
            if mapped.tolist() != after:
                raise LaftError(
                    f"the trimmed sentencepiece model segments {text[:80]!r} in another way, which "
                    "must not be; nothing was written"
                )
    return seen


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    stream = iter(texts)
    while batch := list(itertools.islice(stream, BATCH)):
        yield batch


def rows(selection: Selection, tags: Sequence[str], kept_tags: Sequence[str]) -> Tensor:
    """(V',) int64: the row in the whole embedding of each entry of the trimmed dictionary.

    Entries are fairseq's four specials, pieces, tags and ``<mask>`` in both, in the same order.
    """
    first, offset = len(sentencepiece_dictionary.FIRST), sentencepiece_dictionary.OFFSET
    pieces = np.flatnonzero(selection.keep)
    after = len(selection.keep) + offset
    own = [after + index for index, tag in enumerate(tags) if tag in kept_tags]
    specials = list(range(len(sentencepiece_dictionary.FAIRSEQ_FIRST)))
    kept = [*specials, *(pieces[first:] + offset).tolist(), *own, after + len(tags)]
    return torch.tensor(kept)


def trim_state(state: Mapping[str, Tensor], kept: Tensor) -> dict[str, Tensor]:
    """The state dict with the (V, d) embedding and its tied copies cut to the rows ``kept``."""
    embedding = state[EMBEDDING][kept]
    return {**state, **{name: embedding for name in (EMBEDDING, *TIED) if name in state}}


def parameters(state: Mapping[str, Tensor]) -> int:
    """How many there are; tied copies count once."""
    return sum(tensor.numel() for name, tensor in state.items() if name not in TIED)


def stored(state: Mapping[str, Tensor]) -> int:
    """Bytes of them, in the precision that they are stored in."""
    return sum(tensor.nbytes for name, tensor in state.items() if name not in TIED)


def trimmed_folder(
    folder: Folder, selection: Selection, tags: list[str], pieces: bytes
) -> BackboneFolder:
    """What is to be written: the trimmed backbone, which records what it was trimmed from.

    Args:
        folder: the whole backbone.
        selection: the pieces kept.
        tags: the languages kept, in the whole dictionary's order.
        pieces: the trimmed sentencepiece model.
    """
    whole = open_checkpoint(folder.backbone.path)
    state = unpack_attention(whole.state)  # as it is read, or its fingerprint would be another one
    options = _options(folder, whole.options["model"])
    options.langs, options.tag_layout = ",".join(tags), str(folder.layout)
    names = [n for n, kept in zip(folder.pieces.names, selection.keep, strict=True) if kept]
    small = trim_state(state, rows(selection, folder.tags, tags))
    return BackboneFolder(small, options, pieces, names, tags, folder.layout)


def _options(folder: Folder, recorded: Mapping[str, Any]) -> Namespace:
    """The shape, what no tensor shows, and what was trimmed: none of a training's own options."""
    backbone = folder.backbone
    options = Namespace(**{key: recorded[key] for key in OPTIONS if key in recorded})
    options.activation_fn = backbone.options.get("activation_fn", "gelu")
    options.no_scale_embedding = backbone.options.get("no_scale_embedding", False)
    d = backbone.state[EMBEDDING].size(1)
    for heads in ("encoder_attention_heads", "decoder_attention_heads"):
        if heads not in backbone.options and d % HEAD_WIDTH:
            raise LaftError(f"{backbone.path}: records no {heads}; keep its args or cfg in it")
        setattr(options, heads, backbone.options.get(heads, d // HEAD_WIDTH))
    options.trimmed_from = backbone.fingerprint
    options.trimmed_from_pieces = len(folder.pieces.names)
    return options


def write(trimmed: BackboneFolder, out: Path) -> bool:
    """Write the folder and read it again, as anyone will; False if the same is there already.

    Raises:
        LaftError: ``out`` holds something else, or cannot be written.
    """
    written = trimmed.write(out)
    if read_folder(out / MODEL).backbone.fingerprint != trimmed.fingerprint:
        raise LaftError(f"{out}: does not read back as it was written; check the disk")
    return written
