"""Which subwords of a sentencepiece model to keep, and the model with these alone.

A text all of whose subwords are kept is segmented as before. sentencepiece looks for the best path
through the text's characters, where an edge is a subword with its log-probability, from left to
right, and the first of equal paths to a place wins. Every edge of the best path is kept; dropping
others makes fewer paths. Two scores are derived from those of other subwords and could rise:

- an unknown character scores 10 below the *lowest* ordinary subword, so dropping that subword would
  make unknown characters cheaper, and a path through one could win;
- in some versions of sentencepiece a user-defined subword scores the *highest* score times its
  length.

So these two subwords are always kept. A dropped single character becomes an unknown one, which
scores less than it did. Hence no edge scores more than before; neither does the best way to any
place, rounding being monotone; and along the best path all is equal. What it beat, it still
beats, and what it tied with and came before as well. This holds for the best segmentation of a
unigram model; n-best lists and sampling draw on the other paths. In a BPE model a subword is built
out of others that may occur in no text, so such models are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from laft_fairseq.languages.scripts import written_in

UNIGRAM = 1  # TrainerSpec.ModelType
NORMAL, UNUSED = 1, 5  # SentencePiece.Type; an unused subword is never given out

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]


class SubwordModel:
    """A unigram sentencepiece model, its n subwords in the order of their ids."""

    def __init__(self, proto: Any, names: list[str]) -> None:
        self.proto = proto  # the ``ModelProto``
        self.names = names  # ``<unk>`` first
        self.scores = np.array([p.score for p in proto.pieces], np.float32)  # (n,) log-probability
        self.types = np.array([p.type for p in proto.pieces])  # (n,) SentencePiece.Type


@dataclass(frozen=True)
class Selection:
    """What is kept: masks over the n subwords."""

    keep: Mask  # (n,) everything that is kept
    forced: Mask  # (n,) what is kept whatever its count

    @property
    def new_ids(self) -> Counts:
        """(n,) int64, the subword's id in the trimmed model; -1 where it is dropped."""
        return np.where(self.keep, np.cumsum(self.keep) - 1, -1)


def read(path: str | Path) -> SubwordModel:
    """Return the model of a file.

    Raises:
        LaftError: not a unigram sentencepiece model that mBART can use.
    """
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    names = sentencepiece_dictionary.read_subwords(path)
    proto = ModelProto.FromString(Path(path).read_bytes())
    kind = proto.trainer_spec.model_type
    if kind != UNIGRAM:
        name = proto.trainer_spec.ModelType.Name(kind)
        raise LaftError(
            f"{path}: a {name} model: without some of its subwords the rest is segmented in "
            "another way; only UNIGRAM models, as mBART's, can be trimmed"
        )
    return SubwordModel(proto, names)


def always_kept(model: SubwordModel) -> Mask:
    """Mark specials, bytes, user-defined subwords and the ordinary ones that bound the scores.

    Returns (n,) bool.
    """
    keep = (model.types != NORMAL) & (model.types != UNUSED)
    normal = np.flatnonzero(model.types == NORMAL)
    if len(normal):
        keep[normal[model.scores[normal].argmin()]] = True
        keep[normal[model.scores[normal].argmax()]] = True
    return keep


def by_count(
    model: SubwordModel, counts: Counts, min_count: int = 1, most: int | None = None
) -> Selection:
    """Keep what occurs ``min_count`` times, of it the most frequent, and what is forced.

    Forced are the subwords of :func:`always_kept` and every single character of the text.

    Args:
        model: of n subwords.
        counts: (n,) occurrences of each subword.
        min_count: rarer subwords go, unless they are single characters.
        most: subwords in all, at most; by default no limit. The lower id wins a tie.

    Raises:
        LaftError: ``most`` is less than what has to be kept.
    """
    normal = model.types == NORMAL
    used = (name for name, use in zip(model.names, normal & (counts > 0), strict=True) if use)
    characters = set("".join(used))
    forced = always_kept(model) | (normal & [name in characters for name in model.names])
    keep = forced | ((model.types != UNUSED) & (counts >= min_count))
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


def by_script(model: SubwordModel, tags: Sequence[str]) -> Selection:
    """Keep the subwords written in the scripts of the languages (languages/scripts.py)."""
    inside = np.array(written_in(model.names, tags)) & (model.types == NORMAL)
    forced = always_kept(model)
    return Selection(forced | inside, forced)


def trimmed(model: SubwordModel, keep: Mask) -> bytes:
    """Return the serialised model with the kept subwords alone; all else is as it was."""
    proto = type(model.proto)()
    proto.CopyFrom(model.proto)
    del proto.pieces[:]
    proto.pieces.extend(p for p, kept in zip(model.proto.pieces, keep, strict=True) if kept)
    proto.trainer_spec.vocab_size = len(proto.pieces)
    return proto.SerializeToString()
