"""Binarised sentences with their language's tag, in the data's tag layout, and their batches."""

from __future__ import annotations

import logging
import os
import struct
from typing import Any

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, ConcatDataset, Dictionary, data_utils, indexed_dataset
from fairseq.data.language_pair_dataset import LanguagePairDataset, collate
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout

logger = logging.getLogger(__name__)

SHORTEST = 3  # tokens: one of the text, </s> and the tag
MMAP_MAGIC = b"MMIDIDX\x00\x00"  # begins an index of fairseq's default format


def load_texts(prefix: str, dictionary: Dictionary, tag: str) -> Any:
    """Return the indexed sentences ``X </s>`` of ``prefix`` (``data-bin/fr_XX/train``).

    Raises:
        LaftError: absent, empty, unreadable, or made with a larger dictionary.
    """
    folder = os.path.dirname(prefix)
    for file in (f"{prefix}.idx", f"{prefix}.bin"):
        if not os.path.exists(file):
            raise LaftError(f"{file}: no such data for language {tag}; binarise it into {folder}")
    if os.path.getsize(f"{prefix}.bin") == 0:
        raise LaftError(
            f"{prefix}.bin: no text of language {tag}; binarise a file that is not empty"
        )
    try:
        if not _is_whole(prefix):
            raise ValueError("its index and its data do not match")
        texts = data_utils.load_indexed_dataset(prefix, dictionary)
        size = len(texts)
    except (AssertionError, ValueError, OSError, EOFError, struct.error) as error:
        raise LaftError(
            f"{prefix}.idx: damaged data of language {tag} ({error}); binarise it again"
        ) from None
    highest = max(int(texts[index].max()) for index in {0, size // 2, size - 1})
    if highest >= len(dictionary):
        raise LaftError(
            f"{prefix}.bin: token {highest} of language {tag} is outside the dictionary of "
            f"{len(dictionary)} entries; binarise with the backbone's dict.txt"
        )
    return texts


def _is_whole(prefix: str) -> bool:
    """Return whether .idx and .bin of fairseq's mmap format are as long as the index says."""
    with open(f"{prefix}.idx", "rb") as file:
        if file.read(len(MMAP_MAGIC)) != MMAP_MAGIC:
            return True  # another format, or none, which fairseq checks
        header = file.read(17)  # version, type, number of sentences
        _, kind, count = struct.unpack("<QBQ", header)
        if os.fstat(file.fileno()).st_size != len(MMAP_MAGIC) + len(header) + 12 * count:
            return False
        sizes = np.frombuffer(file.read(4 * count), dtype=np.int32)  # (n,) tokens
    width = np.dtype(indexed_dataset._code_to_dtype[kind]).itemsize
    return os.path.getsize(f"{prefix}.bin") == int(sizes.sum(dtype=np.int64)) * width


class TaggedTexts(BaseWrapperDataset):
    """``X </s>`` with its tag where ``layout`` puts it, X cut to fit ``max_tokens``.

    How many were cut is logged.

    Raises:
        LaftError: nothing of X would be left.
    """

    def __init__(
        self, texts: Any, tag_id: int, max_tokens: int, name: str, layout: TagLayout
    ) -> None:
        super().__init__(texts)
        if max_tokens < SHORTEST:
            raise LaftError(
                f"{name}: texts cut to {max_tokens} tokens would be empty; allow {SHORTEST} or more"
            )
        self.tag_id, self.layout, self.name = tag_id, layout, name
        self.max_text = max_tokens - 1
        sizes = np.asarray(texts.sizes)
        over_long = int((sizes > self.max_text).sum())
        if over_long:
            logger.info(
                "%s: %d of %d examples cut to %d tokens", name, over_long, len(sizes), max_tokens
            )
        self._sizes = np.minimum(sizes, self.max_text) + 1

    @property
    def sizes(self) -> np.ndarray:
        """Return the (n,) tokens of each example, tag included."""
        return self._sizes

    def cut(self, text: Tensor) -> Tensor:
        """Return (t,) ``X </s>`` with X cut to fit."""
        if len(text) <= self.max_text:
            return text
        return torch.cat([text[: self.max_text - 1], text[-1:]])

    def text(self, index: int) -> Tensor:
        """Return the (t,) ``X </s>`` of an example, cut."""
        return self.cut(self.dataset[index])

    def tagged(self, text: Tensor) -> Tensor:
        """Return (t + 1,) tokens, ``X </s>`` with the tag."""
        return self.layout.tagged(text, self.tag_id)

    def __getitem__(self, index: int) -> Tensor:
        return self.tagged(self.text(index))

    def num_tokens(self, index: int) -> int:
        """Return the tokens of an example, tag included."""
        return int(self._sizes[index])

    def size(self, index: int) -> int:
        """Return the tokens of an example, for filtering."""
        return int(self._sizes[index])


def batch_of(samples: list[dict[str, Any]], pad: int) -> dict[str, Any]:
    """Return a batch of items with ``id``, ``source`` and ``target``, each tagged.

    Sources are padded on the left. Each target's last token, the tag or ``</s>``, moves to the
    front of the decoder's input.
    """
    return collate(samples, pad, None, left_pad_source=True, left_pad_target=False)


class TaggedPairDataset(LanguagePairDataset):
    """Tagged pairs of one language, which a batch may mix with other languages'.

    ``constraints`` are fairseq's, of a constrained search: what each output has to contain.
    """

    def __init__(
        self,
        source: TaggedTexts,
        target: TaggedTexts | None,
        dictionary: Dictionary,
        shuffle: bool,
        constraints: Any = None,
    ) -> None:
        super().__init__(
            source,
            source.sizes,
            dictionary,
            target,
            None if target is None else target.sizes,
            dictionary,
            shuffle=shuffle,
            constraints=constraints,
        )
        self.eos = None  # each target's own last token begins the decoder's input

    def name_of(self, index: int) -> str:
        """Return the file of an item's source."""
        return str(self.src.name)


class MultilingualDataset(ConcatDataset):
    """The items of several languages as one data set, numbered consecutively."""

    def __init__(self, parts: list[Any], shuffle: bool) -> None:
        super().__init__(parts)
        self.shuffle = shuffle

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**super().__getitem__(index), "id": index}

    def name_of(self, index: int) -> str:
        """Return the file of an item."""
        part = self.datasets[int(np.searchsorted(self.cumulative_sizes, index, side="right"))]
        resampled = getattr(part, "dataset", part)  # what a ResamplingDataset draws from
        return str(resampled.name_of(0))

    def ordered_indices(self) -> np.ndarray:
        """Return items by source, then target length, ties at random (fairseq seeds numpy)."""
        order = np.random.permutation(len(self)) if self.shuffle else np.arange(len(self))
        return sorted_by(order, self.sizes)

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        """Return the (n,) tokens of the items' longer sides, as `num_tokens` does one by one."""
        longest: np.ndarray = self.sizes.reshape(len(self), -1).max(axis=1)[indices]
        return longest


def sorted_by(order: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the items of ``order`` by their (n,) or (n, c) sizes, ties in the given order."""
    columns = sizes.reshape(len(sizes), -1)[order]  # (m, c)
    return order[np.lexsort(columns.T[::-1])]


def refuse_longer(dataset: Any, max_tokens: int) -> None:
    """Refuse a batch size in tokens that holds less than the longest item.

    Raises:
        LaftError: names the length and the file.
    """
    sizes = np.asarray(dataset.sizes).reshape(len(dataset), -1)  # (n, 1 or 2)
    longest = int(sizes.max(axis=1).argmax())  # an item
    tokens = int(dataset.num_tokens(longest))
    if tokens > max_tokens:
        where = f" of {dataset.name_of(longest)}" if hasattr(dataset, "name_of") else ""
        raise LaftError(
            f"--max-tokens {max_tokens}: an example{where} has {tokens}, and none is skipped; "
            "allow as many, or cut examples by --max-source-positions and --max-target-positions"
        )
