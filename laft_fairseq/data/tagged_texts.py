"""Binarised sentences with their language's tag, in the data's tag layout, and their batches."""

import logging
import os
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, ConcatDataset, Dictionary, data_utils, indexed_dataset
from fairseq.data.language_pair_dataset import LanguagePairDataset, collate
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.byte_fallback import check_coverage, uncovered
from laft_fairseq.languages.layout import TagLayout

logger = logging.getLogger(__name__)

SHORTEST = 3  # tokens: one of the text, </s> and the tag
CHUNK = 2**22  # tokens that are checked at once
MMAP_MAGIC = b"MMIDIDX\x00\x00"  # begins an index of fairseq's default format


def load_texts(prefix: str, dictionary: Dictionary, tag: str) -> Any:
    """Return the indexed sentences ``X </s>`` of ``prefix`` (``data-bin/fr_XX/train``).

    Raises:
        LaftError: absent, empty, damaged, made with another dictionary, or of a script that the
            dictionary lacks (byte_fallback.py).
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
        _check_tokens(texts, prefix, dictionary, tag)
    except (AssertionError, KeyError, ValueError, OSError, EOFError, struct.error) as error:
        raise LaftError(
            f"{prefix}.idx: damaged data of language {tag} ({error}); binarise it again"
        ) from None
    return texts


def _is_whole(prefix: str) -> bool:
    """Return whether .idx and .bin of fairseq's mmap format fit each other.

    Texts follow each other without a gap, so that their places are the sums of their sizes.
    """
    with open(f"{prefix}.idx", "rb") as file:
        if file.read(len(MMAP_MAGIC)) != MMAP_MAGIC:
            return True  # another format, or none, which fairseq checks
        header = file.read(17)  # version, type, number of sentences
        _, kind, count = struct.unpack("<QBQ", header)
        if os.fstat(file.fileno()).st_size != len(MMAP_MAGIC) + len(header) + 12 * count:
            return False
        sizes = np.frombuffer(file.read(4 * count), dtype=np.int32)  # (n,) tokens
        pointers = np.frombuffer(file.read(8 * count), dtype=np.int64)  # (n,) bytes
    width = np.dtype(indexed_dataset._code_to_dtype[kind]).itemsize
    ends = sizes.cumsum(dtype=np.int64) * width  # (n,) bytes
    return (
        os.path.getsize(f"{prefix}.bin") == (ends[-1] if count else 0)
        and bool((sizes > 0).all())
        and np.array_equal(pointers[1:], ends[:-1])
        and not pointers[:1].any()
    )


def _check_tokens(texts: Any, prefix: str, dictionary: Dictionary, tag: str) -> None:
    """Check every token of binarised texts against the dictionary.

    Raises:
        ValueError: ``<s>``, padding, or ``</s>`` elsewhere than at the end of a text.
        LaftError: a token outside the dictionary; or most of them are bytes or ``<unk>``.
    """
    framing = [dictionary.bos(), dictionary.pad()]
    kind = uncovered(dictionary.symbols).astype(np.uint8)  # (V,) 1: bytes and <unk>
    kind[framing], kind[dictionary.eos()] = 2, 3
    counts = np.zeros(4, dtype=np.int64)  # tokens of each kind
    for tokens in _token_chunks(texts, prefix):
        lowest, highest = int(tokens.min()), int(tokens.max())
        if highest >= len(dictionary) or lowest < 0:
            raise LaftError(
                f"{prefix}.bin: token {highest if lowest >= 0 else lowest} of language {tag} is "
                f"outside the dictionary of {len(dictionary)} entries; binarise with the "
                "backbone's dict.txt"
            )
        counts += np.bincount(kind[tokens], minlength=4)
    if counts[2] or counts[3] != len(texts) or _ends(texts, prefix) != {dictionary.eos()}:
        raise ValueError("not all texts end at their own </s>, without <s> and padding in them")
    warning = check_coverage(int(counts[1]), int(counts[:2].sum()), tag, prefix)
    if warning:
        logger.warning("%s", warning)


def _token_chunks(texts: Any, prefix: str) -> Iterator[np.ndarray]:
    """Yield all tokens of binarised texts, some at a time: (t,) integers."""
    if isinstance(texts, indexed_dataset.MMapIndexedDataset):
        tokens = np.memmap(f"{prefix}.bin", dtype=texts._index.dtype, mode="r")
        yield from (tokens[start : start + CHUNK] for start in range(0, len(tokens), CHUNK))
    else:  # an older format
        yield from (texts[index].numpy() for index in range(len(texts)))


def _ends(texts: Any, prefix: str) -> set[int]:
    """Return the last tokens that occur in binarised texts."""
    if isinstance(texts, indexed_dataset.MMapIndexedDataset):
        tokens = np.memmap(f"{prefix}.bin", dtype=texts._index.dtype, mode="r")
        return set(np.unique(tokens[texts.sizes.cumsum(dtype=np.int64) - 1]).tolist())
    return {int(texts[index][-1]) for index in range(len(texts))}


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

    size = num_tokens


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
        self.name = source.name


class MultilingualDataset(ConcatDataset):
    """The items of several languages as one data set, numbered consecutively."""

    def __init__(self, parts: list[Any], shuffle: bool) -> None:
        super().__init__(parts)
        self.shuffle = shuffle

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**super().__getitem__(index), "id": index}

    def ordered_indices(self) -> np.ndarray:
        """Return items by source, then target length, ties at random (fairseq seeds numpy)."""
        order = np.random.permutation(len(self)) if self.shuffle else np.arange(len(self))
        return sorted_by(order, self.sizes)

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        """Return the (n,) tokens of the items' longer sides, as `num_tokens` does one by one."""
        return self.sizes.reshape(len(self), -1).max(axis=1)[indices]


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
        while not hasattr(dataset, "name"):  # a part of several, and what is resampled or noised
            parts = getattr(dataset, "datasets", None)
            part = parts and parts[dataset._get_dataset_and_sample_index(longest)[0]]
            dataset = part or dataset.dataset
        raise LaftError(
            f"--max-tokens {max_tokens}: an example of {dataset.name} has {tokens}, and none is "
            "skipped; allow as many, or cut examples by --max-source-positions and "
            "--max-target-positions"
        )
