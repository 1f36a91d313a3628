"""Which pieces of a sentencepiece model to keep, and the model with these alone.

A text all of whose pieces are kept is segmented as before. sentencepiece looks for the best path
through the text's characters, where an edge is a piece with its log-probability, from left to
right, and the first of equal paths to a place wins. Every edge of the best path is kept; dropping
others makes fewer paths. Two scores are derived from those of other pieces and could rise:

- an unknown character scores 10 below the *lowest* ordinary piece, so dropping that piece would
  make unknown characters cheaper, and a path through one could win;
- in some versions of sentencepiece a user-defined piece scores the *highest* score times its
  length.

So these two pieces are always kept. A dropped single character becomes an unknown one, which
scores less than it did. Hence no edge scores more than before; neither does the best way to any
place, rounding being monotone; and along the best path all is equal. What it beat, it still
beats, and what it tied with and came before as well. This holds for the best segmentation of a
unigram model; n-best lists and sampling draw on the other paths. In a BPE model a piece is built
out of others that may occur in no text, so such models are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from laft_fairseq.languages.scripts import written_in

UNIGRAM = 1  # TrainerSpec.ModelType
NORMAL, UNUSED = 1, 5  # SentencePiece.Type; an unused piece is never given out

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class PieceModel:
    """A unigram sentencepiece model, its pieces in the order of their ids."""

    proto: Any  # ModelProto
    names: list[str]  # n pieces, <unk> first

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """(n,) log-probabilities."""
        return np.array([piece.score for piece in self.proto.pieces], dtype=np.float32)

    @cached_property
    def types(self) -> NDArray[np.int64]:
        """(n,) SentencePiece.Type."""
        return np.array([piece.type for piece in self.proto.pieces])


@dataclass(frozen=True)
class Selection:
    """What is kept: masks over the n pieces.

    Attributes:
        keep: (n,) bool, everything that is kept.
        forced: (n,) bool, what is kept whatever its count.
    """

    keep: Mask
    forced: Mask

    @property
    def new_ids(self) -> Counts:
        """(n,) the piece's id in the trimmed model; -1 where it is dropped."""
        return np.where(self.keep, np.cumsum(self.keep) - 1, -1)


def read(path: str | Path) -> PieceModel:
    """Read a model.

    Raises:
        LaftError: not a unigram sentencepiece model that mBART can use, or no protobuf.
    """
    names = sentencepiece_dictionary.pieces(path)
    try:
        from sentencepiece.sentencepiece_model_pb2 import ModelProto
    except Exception as error:  # protobuf is absent (ImportError) or older than the module
        raise LaftError(f"sentencepiece's protobuf module cannot be loaded ({error})") from error
    proto = ModelProto()
    proto.ParseFromString(Path(path).read_bytes())
    kind = proto.trainer_spec.model_type
    if kind != UNIGRAM:
        name = proto.trainer_spec.ModelType.Name(kind)
        raise LaftError(
            f"{path}: a {name} model: without some of its pieces the rest is segmented in another "
            "way; only UNIGRAM models, as mBART's, can be trimmed"
        )
    return PieceModel(proto, names)


def always(model: PieceModel) -> Mask:
    """(n,) bool: specials, bytes, user-defined pieces; the ordinary ones that bound the scores."""
    keep = (model.types != NORMAL) & (model.types != UNUSED)
    normal = np.flatnonzero(model.types == NORMAL)
    if len(normal):
        keep[normal[model.scores[normal].argmin()]] = True
        keep[normal[model.scores[normal].argmax()]] = True
    return keep


def characters(model: PieceModel, used: Mask) -> Mask:
    """(n,) bool: the single characters that occur in the ``used`` pieces."""
    known = set("".join(n for n, use in zip(model.names, used, strict=True) if use))
    return np.array([name in known for name in model.names]) & (model.types == NORMAL)


def by_count(
    model: PieceModel, counts: Counts, min_count: int = 1, most: int | None = None
) -> Selection:
    """Keep what occurs ``min_count`` times, of it the most frequent, and what is forced.

    Args:
        model: of n pieces.
        counts: (n,) occurrences of each piece.
        min_count: fewer and a piece goes, unless it is a single character.
        most: pieces in all, at most; by default no limit. The lower id wins a tie.

    Raises:
        LaftError: ``most`` is less than what has to be kept.
    """
    usable = model.types != UNUSED
    forced = always(model) | characters(model, (counts > 0) & (model.types == NORMAL))
    keep = forced | (usable & (counts >= min_count))
    if most is not None and keep.sum() > most:
        room = most - int(forced.sum())
        if room < 0:
            raise LaftError(
                f"--max-pieces {most}: {forced.sum()} have to be kept (specials, bytes and the "
                "text's single characters)"
            )
        candidates = np.flatnonzero(keep & ~forced)
        order = np.argsort(-counts[candidates], kind="stable")
        keep = forced.copy()
        keep[candidates[order[:room]]] = True
    return Selection(keep, forced)


def by_script(model: PieceModel, tags: Sequence[str]) -> Selection:
    """Keep the pieces written in the scripts of the languages (language_scripts.py)."""
    inside = np.array(written_in(model.names, tags)) & (model.types == NORMAL)
    forced = always(model)
    return Selection(forced | inside, forced)


def trimmed(model: PieceModel, keep: Mask) -> bytes:
    """The model with the kept pieces alone, serialised; all else is as it was."""
    proto = type(model.proto)()
    proto.CopyFrom(model.proto)
    del proto.pieces[:]
    proto.pieces.extend(p for p, kept in zip(model.proto.pieces, keep, strict=True) if kept)
    proto.trainer_spec.vocab_size = len(proto.pieces)
    data: bytes = proto.SerializeToString()
    return data
