"""Batches of TM + adv (appendix): annotated source rows and target rows, in a fixed proportion."""

from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset, data_utils

from laft_fairseq.data.tagged_texts import MultilingualDataset, batch_of, sorted_by
from laft_fairseq.errors import LaftError

TARGET_ROWS = ("monolingual", "pairs")


def drawn_targets(epoch: int, sources: int, each: int, targets: int, seed: int) -> np.ndarray:
    """Return the target rows of an epoch: (sources · each,) numbers below ``targets``.

    Epochs go through permutations of the target rows, each continuing where the last one stopped,
    so that no row comes twice before all have come. The result depends on the arguments alone, so
    that a resumed run draws the same.
    """
    first, count = (epoch - 1) * sources * each, sources * each
    rounds = range(first // targets, (first + count - 1) // targets + 1)
    orders = [np.random.default_rng([seed, n]).permutation(targets) for n in rounds]
    start = first - rounds[0] * targets
    return np.concatenate(orders)[start : start + count]


class AdversarialRows(FairseqDataset):
    """Items of one annotated source row and ``each`` target rows of about its length.

    Every batch holds both kinds, 1 : ``each``, and an epoch takes every annotated row once. The
    target rows drawn for an epoch are assigned to annotated rows by length, for little padding, and
    so that the classifier cannot tell the languages by their lengths alone.
    """

    def __init__(
        self,
        sources: MultilingualDataset,
        targets: MultilingualDataset,
        each: int,
        seed: int,
        pad: int,
    ) -> None:
        super().__init__()
        if each < 1:
            raise LaftError(f"--target-per-source {each}: at least one target row is needed")
        self.sources, self.targets = sources, targets
        self.each, self.seed, self.pad = each, seed, pad
        self.set_epoch(1)

    def set_epoch(self, epoch: int) -> None:
        """Draw the epoch's target rows and assign them to annotated rows."""
        n = len(self.sources)
        drawn = drawn_targets(epoch, n, self.each, len(self.targets), self.seed)  # (n each,)
        drawn = sorted_by(drawn, both_sizes(self.targets)[:, 0])
        shuffled = np.random.default_rng([self.seed, epoch, 1]).permutation(n)  # ties at random
        by_size = sorted_by(shuffled, both_sizes(self.sources)[:, 0])
        self.assigned = np.empty((n, self.each), dtype=np.int64)  # target rows, by annotated row
        self.assigned[by_size] = drawn.reshape(n, self.each)
        rows = np.stack([both_sizes(self.sources), *both_sizes(self.targets)[self.assigned.T]])
        self.sizes = rows.max(axis=0)  # (n, 2): longest source and longest target of an item

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        return [self.sources[index], *(self.targets[int(row)] for row in self.assigned[index])]

    def collater(self, samples: list[list[dict[str, Any]]]) -> dict[str, Any]:
        """Return a batch of the items' rows; those without a target have no part in L_gen.

        Rows with a target come first, by descending source length. ``target`` (R, T) and the
        decoder's input hold these only, named by ``decoded_rows`` (R,) in ``net_input`` where
        R < B.
        """
        rows = [row for item in samples for row in item]
        without = [row for row in rows if row["target"] is None]
        batch = batch_of([row for row in rows if row["target"] is not None], self.pad)
        if not without:
            return batch
        inputs = batch["net_input"]
        decoded = [source[source.ne(self.pad)] for source in inputs["src_tokens"]]  # R of (s,)
        sources = [*decoded, *(row["source"] for row in without)]  # B of (s,)
        inputs["decoded_rows"] = torch.arange(len(decoded))  # (R,)
        inputs["src_tokens"] = data_utils.collate_tokens(sources, self.pad, left_pad=True)  # (B, S)
        inputs["src_lengths"] = torch.tensor([len(source) for source in sources])  # (B,)
        batch["nsentences"] = len(sources)
        others = torch.tensor([row["id"] for row in without])
        batch["id"] = torch.cat([batch["id"], others])  # (B,)
        return batch

    def num_tokens(self, index: int) -> int:
        """Return the tokens of the item's rows, padded to its longest, for ``--max-tokens``."""
        return (1 + self.each) * int(self.sizes[index].max())

    def ordered_indices(self) -> np.ndarray:
        """Return items by source, then target length, ties at random (fairseq seeds numpy)."""
        return sorted_by(np.random.permutation(len(self)), self.sizes)

    def batch_by_size(
        self, indices: Any, max_tokens: Any = None, max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> Any:  # fmt: skip
        """Return batches of at most ``max_sentences`` rows of both kinds together.

        Raises:
            LaftError: an item of some epoch would not fit.
        """
        rows = 1 + self.each
        longest = max(int(both_sizes(kind).max()) for kind in (self.sources, self.targets))
        limits = (("--max-tokens", max_tokens, rows * longest, f", of up to {longest} tokens each"),
                  ("--batch-size", max_sentences, rows, ""))  # fmt: skip
        for option, value, least, lengths in limits:
            if value is not None and value < least:
                raise LaftError(
                    f"{option} {value}: a batch holds an annotated row and {self.each} target rows "
                    f"(--target-per-source){lengths}, so allow at least {least}"
                )
        if max_sentences is not None:
            max_sentences //= rows
        return super().batch_by_size(
            indices, max_tokens, max_sentences, required_batch_size_multiple
        )


def both_sizes(rows: MultilingualDataset) -> np.ndarray:
    """Return the (n, 2) lengths of source and target, 0 where there is no target."""
    sizes = np.asarray(rows.sizes).reshape(len(rows), -1)  # (n, 1 or 2)
    return np.pad(sizes, ((0, 0), (0, 2 - sizes.shape[1])))
