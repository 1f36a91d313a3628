"""A backbone with fewer subwords: embedding, dictionary and sentencepiece model cut down together.

The embedding is tied to the output projection, so a subword that goes takes its row and its logit
with it. For a text of kept subwords every other logit stays what it was: encoder and decoder read
kept rows only, and each logit is one row times the decoder's output. What changes is the softmax:
its sum runs over the kept subwords, so each log-probability rises by -log(1 - p), p what the
dropped subwords had in that place. Greedy search writes the same text wherever the whole model
would write no dropped subword. In beam search p differs between hypotheses, so that two of nearly
the same score can change places; where p is negligible they do not. Language tags are subwords of
this kind too.
"""

import itertools
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laft_fairseq.backbone import subword_selection
from laft_fairseq.backbone.folder import BackboneFolder
from laft_fairseq.backbone.subword_selection import Counts, Selection, SubwordModel
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.backbone import EMBEDDING, TIED, Backbone
from laft_fairseq.checkpoints.record import HEAD_WIDTH, open_checkpoint
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.dictionary import dictionary_tags, load_dictionary
from laft_fairseq.languages.layout import TagLayout, tag_layout
from laft_fairseq.languages.sentencepiece_dictionary import FAIRSEQ_FIRST, FIRST, OFFSET
from laft_fairseq.languages.vocabulary_files import DICTIONARY, SENTENCEPIECE

BATCH = 10_000  # texts
WIDTHS = ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")
OPTIONS = ("arch", *(f"{side}_{width}" for side in ("encoder", "decoder") for width in WIDTHS))


@dataclass(frozen=True)
class Folder:
    """A backbone's folder, read: ``model.pt`` (any name), and the files beside it."""

    path: Path
    backbone: Backbone
    subwords: SubwordModel
    tags: list[str]
    layout: TagLayout


@dataclass
class Coverage:
    """How much of some texts the kept subwords cover; a covered text has no others."""

    texts: int = 0
    covered_texts: int = 0
    tokens: int = 0
    kept_tokens: int = 0


def read_folder(model_path: str | Path) -> Folder:
    """Return the backbone of a file and what lies beside it, checked to fit each other.

    Raises:
        LaftError: a file is missing or damaged, or their entries do not agree.
    """
    home = Path(model_path).parent
    backbone = backbones.read(str(model_path))
    subwords = subword_selection.read(home / SENTENCEPIECE)
    tags, layout = dictionary_tags(home), tag_layout(home)
    symbols = load_dictionary(home, tags).symbols
    if symbols[len(FAIRSEQ_FIRST) : len(symbols) - len(tags) - 1] != subwords.names[len(FIRST) :]:
        raise LaftError(
            f"{home / DICTIONARY}: does not hold the subwords of {home / SENTENCEPIECE}"
        )
    shapes = {name: tensor.shape for name, tensor in backbone.state.items()}
    shapes[EMBEDDING] = torch.Size([len(symbols), shapes[EMBEDDING][1]])
    backbones.check(backbone, shapes, tags, layout)
    return Folder(home, backbone, subwords, tags, layout)


def count_subwords(model: Any, texts: Iterable[str]) -> Counts:
    """Return the (n,) occurrences in texts of each subword of a ``SentencePieceProcessor``."""
    counts = np.zeros(model.get_piece_size(), dtype=np.int64)
    for batch in _batches(texts):
        ids = list(itertools.chain.from_iterable(model.encode(batch)))
        counts += np.bincount(np.array(ids, dtype=np.int64), minlength=len(counts))
    return counts


def compare(whole: Any, small: Any, new_ids: Counts, texts: Iterable[str]) -> Coverage:
    """Segment raw texts by both processors; refuse if one of kept subwords comes out differently.

    ``new_ids`` (n,) holds each subword's id in the small model, -1 where it was dropped.

    Raises:
        LaftError: names the first such text.
    """
    coverage = Coverage()
    for batch in _batches(texts):
        for text, before, after in zip(
            batch, whole.encode(batch), small.encode(batch), strict=True
        ):
            mapped = new_ids[np.array(before, dtype=np.int64)]
            kept = int((mapped >= 0).sum())
            coverage.texts += 1
            coverage.tokens += len(mapped)
            coverage.kept_tokens += kept
            if kept < len(mapped):
                continue
            coverage.covered_texts += 1
            if mapped.tolist() != after:
                raise LaftError(
                    f"the trimmed sentencepiece model segments {text[:80]!r} in another way, which "
                    "must not be; nothing was written"
                )
    return coverage


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    stream = iter(texts)
    while batch := list(itertools.islice(stream, BATCH)):
        yield batch


def rows(selection: Selection, tags: Sequence[str], kept_tags: Sequence[str]) -> Tensor:
    """Return the row in the whole embedding of each entry of the trimmed dictionary.

    Entries are fairseq's four specials, subwords, tags and ``<mask>`` in both, in the same order.
    Shape (V',), int64.
    """
    subwords = np.flatnonzero(selection.keep)[len(FIRST) :] + OFFSET
    first_tag = len(selection.keep) + OFFSET
    tag_rows = [first_tag + index for index, tag in enumerate(tags) if tag in kept_tags]
    specials = range(len(FAIRSEQ_FIRST))
    return torch.tensor([*specials, *subwords.tolist(), *tag_rows, first_tag + len(tags)])


def trimmed_folder(
    folder: Folder, selection: Selection, tags: list[str], sentencepiece: bytes
) -> BackboneFolder:
    """Return the trimmed backbone, which records what it was trimmed from.

    ``tags`` are kept, in the whole dictionary's order; ``sentencepiece`` is the trimmed model.
    """
    whole = open_checkpoint(folder.backbone.path)
    # Unpacked as it is read, or its fingerprint would be another one.
    state = backbones.unpack_attention(whole.state)
    embedding = state[EMBEDDING][rows(selection, folder.tags, tags)]
    state |= {name: embedding for name in (EMBEDDING, *TIED) if name in state}
    options = _options(folder, whole.options["model"])
    options.langs, options.tag_layout = ",".join(tags), str(folder.layout)
    subwords = list(itertools.compress(folder.subwords.names, selection.keep))
    return BackboneFolder(state, options, sentencepiece, subwords, tags, folder.layout)


def _options(folder: Folder, recorded: Mapping[str, Any]) -> Namespace:
    """Return the shape, what no tensor shows, and what was trimmed; no option of a training."""
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
    options.trimmed_from_pieces = len(folder.subwords.names)
    return options
