"""Embeddings of the tags of languages that the backbone never saw (``--new-langs``)."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NewTagEmbeddings(nn.ParameterDict):
    """An embedding (d,) for each new tag, keyed by tag, so that adding a language changes no shape.

    Their ids follow those of the backbone's embedding, in the order of ``tags``. Encoder and
    decoder hold one of these each. The decoder's rows are looked up for its input and give the
    tags' logits, tied as mBART ties them. They are not tied to the encoder's rows, which train
    only where the whole backbone does: under a frozen encoder a row moved by the decoder's
    gradient would move e without being trained for it, and the language components, estimated
    before stage 1, would be those of another encoder.
    """

    def __init__(self, tags: Iterable[str], embedding: nn.Embedding) -> None:
        super().__init__()
        for tag in tags:  # one by one: update() would sort them
            self[tag] = nn.Parameter(torch.zeros_like(embedding.weight[0]))

    def start(self, row: Tensor) -> None:
        """Give every tag the same (d,) to begin with."""
        with torch.no_grad():
            for embedding in self.values():
                embedding.copy_(row)

    def table(self) -> Tensor:
        """(n, d), in the order of the ids."""
        return torch.stack(list(self.values()))

    def embed(self, tokens: Tensor, embedding: nn.Embedding) -> Tensor:
        """Look up (B, T) ids below V + n, those from V on in the new tags: (B, T, d).

        Equal to a lookup in the two stacked, which are never put together: at mBART's size that
        would copy a gigabyte a step. Where a new tag stands, the embedding is asked for padding,
        which gets no gradient.
        """
        if not self:
            return embedding(tokens)
        assert embedding.padding_idx is not None
        place = tokens - embedding.num_embeddings  # (B, T), negative at the backbone's entries
        of_backbone = embedding(tokens.masked_fill(place >= 0, embedding.padding_idx))  # (B, T, d)
        new = F.embedding(place.clamp(min=0), self.table())  # (B, T, d)
        return torch.where((place >= 0).unsqueeze(-1), new, of_backbone)

    def extend(self, logits: Tensor, features: Tensor) -> Tensor:
        """(N, V) logits of the backbone's entries, (N, d) features -> (N, V + n)."""
        if not self:
            return logits
        return torch.cat([logits, F.linear(features, self.table())], dim=-1)


def mean_of_tags(embedding: Tensor, tag_ids: Iterable[int]) -> Tensor:
    """(V, d) -> (d,): what a new tag begins with, the mean embedding of the backbone's tags.

    All of the dictionary's tags count, trained on here or not: each is trained in the backbone, and
    their mean says "some language" where random numbers would say nothing at all. It is taken in
    fp32.
    """
    rows = embedding[list(tag_ids)]  # (tags, d)
    return rows.float().mean(0).to(embedding.dtype)
