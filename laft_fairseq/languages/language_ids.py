"""The language of each example of a batch, read from the tags in its tokens."""

from collections.abc import Sequence

import torch
from fairseq.data import Dictionary
from torch import Tensor, nn

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.tags import symbol


class LanguageTags(nn.Module):
    """The tags of a dictionary, and the language of each example of a batch.

    A language's *index* is its place in ``tags``. Holds no parameter and nothing of a batch.
    """

    index_of_token: Tensor  # (V,) int64: a tag's index; -1 for what is no tag
    is_text: Tensor  # (V,) bool: True for the text's own tokens

    def __init__(
        self, dictionary: Dictionary, tags: Sequence[str], layout: TagLayout = TagLayout.SUFFIX
    ) -> None:
        super().__init__()
        self.tags = tuple(tags)
        self.layout = layout
        self.pad, self.eos = dictionary.pad(), dictionary.eos()
        self.token_ids = [int(dictionary.index(symbol(tag))) for tag in tags]
        for tag, token in zip(tags, self.token_ids, strict=True):
            if token == dictionary.unk():
                raise LaftError(f"language {tag}: not in the dictionary; check --langs")
        index_of_token = torch.full((len(dictionary),), -1)
        index_of_token[self.token_ids] = torch.arange(len(self.tags))
        is_text = index_of_token < 0
        is_text[[dictionary.bos(), dictionary.pad(), dictionary.eos()]] = False
        self.mask = dictionary.index(MASK)
        self.register_buffer("index_of_token", index_of_token, persistent=False)
        self.register_buffer("is_text", is_text, persistent=False)

    def tags_without_embedding(self, size: int) -> list[str]:
        """Return the tags beyond an embedding of ``size`` entries: those of new languages."""
        pairs = zip(self.tags, self.token_ids, strict=True)
        return [tag for tag, token in pairs if token >= size]

    def text_mask(self, tokens: Tensor) -> Tensor:
        """(B, T) bool, True at the text's own tokens: no padding, ``<s>``, ``</s>`` or tag."""
        return self.is_text[tokens]

    def without_tags(self, tokens: Tensor) -> Tensor:
        """(B, T) tokens -> the same with ``<mask>`` in place of each tag."""
        return torch.where(self.index_of_token[tokens] >= 0, self.mask, tokens)

    def of_source(self, tokens: Tensor) -> Tensor:
        """(B, T) source tokens, padded on either side -> (B,) index of each example's language."""
        positions = torch.arange(1, tokens.size(1) + 1, device=tokens.device)  # (T,)
        where = "source ends"
        if self.layout is TagLayout.PREFIX:
            positions, where = positions.flip(0), "source begins"
        end = (tokens.ne(self.pad) * positions).argmax(dim=1, keepdim=True)  # (B, 1)
        return self._checked(tokens.gather(1, end).squeeze(1), where)

    def of_decoder_input(self, tokens: Tensor) -> Tensor:
        """(B, T) decoder input or its first tokens -> (B,) index of each example's language."""
        place = min(self.layout.lead, tokens.size(1) - 1)
        return self._checked(tokens[:, place], f"decoder input {('begins', 'goes on')[place]}")

    def decoder_input(self, written: Tensor) -> Tensor:
        """(B, t) tag and text as a search writes them -> (B, lead + t) the decoder's input."""
        lead = written.new_full((len(written), self.layout.lead), self.eos)
        return torch.cat([lead, written], dim=1)

    def _checked(self, token: Tensor, where: str) -> Tensor:
        index = self.index_of_token[token]
        if (index < 0).any():
            bad = int(token[index < 0][0])
            raise LaftError(
                f"a {where} with token {bad}, which is no language tag; "
                f"the languages are {', '.join(self.tags)}"
            )
        return index
