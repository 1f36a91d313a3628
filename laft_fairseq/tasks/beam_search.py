"""fairseq's beam search with fewer passes over a large vocabulary; its outputs, bit for bit.

At mBART's 250,027 entries and 40 rows fairseq allocates and fills 40 MB four times a step beside
the product that gives the logits. Here log-probabilities overwrite the logits, and the best
entries are found row by row before scores are added to those few alone.

And ``--no-repeat-ngram-size``, of which fairseq's own compares the end of a padded buffer, and so
blocks nothing, unless a CUDA extension is built that its wheels do not have.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from fairseq.search import BeamSearch
from fairseq.sequence_generator import EnsembleModel, SequenceGenerator
from torch import Tensor, nn

BLOCK = 512  # entries of which the largest is taken first


def best_of_rows(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(R, V) -> the k largest of each row and their places, (R, k) each, falling.

    The k largest lie in the k blocks whose maxima are largest, or in the rest that fills no block;
    one fast pass finds these, where `topk` alone takes several slow ones.
    """
    rows, entries = values.shape
    blocks = entries // BLOCK
    if blocks < 4 * k or values.is_cuda:
        found = values.topk(k)
        return found.values, found.indices
    parted = values[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK))  # (R, blocks, BLOCK)
    chosen = parted.amax(-1).topk(k).indices.sort().values  # (R, k) blocks
    within = torch.arange(BLOCK, device=values.device)
    rest = torch.arange(blocks * BLOCK, entries, device=values.device).expand(rows, -1)
    places = torch.cat([(chosen.unsqueeze(-1) * BLOCK + within).flatten(1), rest], dim=1)
    found = values.gather(1, places).topk(k)
    return found.values, places.gather(1, found.indices)


class RowwiseBeamSearch(BeamSearch):
    """fairseq's step, with the best entries of each row found before the rows are compared."""

    def step(
        self,
        step: int,
        lprobs: Tensor,
        scores: Tensor | None,
        prev_output_tokens: Tensor | None = None,
        original_batch_idxs: Tensor | None = None,
        candidate_multiple: int = 2,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, beam, V) log-probabilities, (B, beam, t) scores so far -> (B, k) each: the scores
        of the best continuations, their entries and their rows; k = 2 beam."""
        batch, beam, entries = lprobs.shape
        k = candidate_multiple * beam
        if k >= entries:
            return super().step(step, lprobs, scores)
        if step == 0:  # all rows are alike
            lprobs = lprobs[:, :1]
        rows = lprobs.size(1)
        values, tokens = best_of_rows(lprobs.flatten(0, 1), k)  # (B rows, k)
        values, tokens = values.view(batch, rows, k), tokens.view(batch, rows * k)
        if step > 0:
            assert scores is not None
            values = values + scores[:, :, step - 1].unsqueeze(-1)
        best = values.flatten(1).topk(k)  # (B, k) of rows * k
        return best.values, tokens.gather(1, best.indices), best.indices // k


class OneModel(EnsembleModel):
    """fairseq's ensemble of one, whose log-probabilities overwrite the logits."""

    def forward_decoder(
        self, tokens: Tensor, encoder_outs: Any, incremental_states: Any, temperature: float = 1.0
    ) -> tuple[Tensor, None]:
        """(R, t) tokens -> (R, V) log-probabilities of the next one in fp32, and no attention."""
        logits, _ = self.single_model.decoder(
            tokens, encoder_out=encoder_outs[0], incremental_state=incremental_states[0]
        )
        last = logits[:, -1]  # (R, V), the logits' own memory
        if temperature != 1.0:
            last.div_(temperature)
        if last.dtype != torch.float32:
            return torch.log_softmax(last, dim=-1, dtype=torch.float32), None
        return torch.log_softmax(last, dim=-1, out=last), None


def use_fast_beam_search(generator: Any) -> None:
    """Let a plain beam search over one model run this way; others stay as they are."""
    plain = type(generator) is SequenceGenerator and type(generator.search) is BeamSearch
    if plain and generator.model.models_size == 1:
        generator.model = OneModel(list(generator.model.models))
        generator.search = RowwiseBeamSearch(generator.tgt_dict)


class NoRepeatedNgrams(nn.Module):
    """Forbids every token that would write an n-gram of the text again; fairseq's interface."""

    def __init__(self, n: int, eos: int) -> None:
        super().__init__()
        self.n, self.eos = n, eos

    def forward(
        self, tokens: Tensor, lprobs: Tensor, bsz: int, beam_size: int, step: int
    ) -> Tensor:
        """-inf, in place, at the tokens that would repeat an n-gram.

        The text begins after the language tag, the first token. ``</s>`` is never forbidden, and a
        row in which nothing would be left, such as one with a forced prefix, stays as it is.

        Args:
            tokens: (R, T) the rows so far: ``step`` + 1 tokens, then padding.
            lprobs: (R, V) log-probabilities of the next token.
            bsz: R / ``beam_size``.
            beam_size: rows of a source.
            step: tokens of the text so far.

        Returns:
            ``lprobs``.
        """
        if step < self.n:
            return lprobs
        text = tokens[:, 1 : step + 1]  # (R, t)
        ngrams = text.unfold(1, self.n, 1)  # (R, t - n + 1, n)
        tail = text[:, step - self.n + 1 :].unsqueeze(1)  # (R, 1, n - 1): the next one's beginning
        last = ngrams[..., -1]  # (R, t - n + 1)
        again = ngrams[..., :-1].eq(tail).all(-1) & last.ne(self.eos)  # True: forbidden
        before = lprobs.gather(1, last)  # (R, t - n + 1)
        lprobs.scatter_add_(1, last, torch.zeros_like(before).masked_fill_(again, -math.inf))
        nothing_left = lprobs.amax(1, keepdim=True).isneginf()  # (R, 1)
        return lprobs.scatter_(1, last, before.where(nothing_left, lprobs.gather(1, last)))


def block_repeats(generator: Any) -> None:
    """Put a blocker that works in place of fairseq's, where ``--no-repeat-ngram-size`` asks."""
    given = getattr(generator, "repeat_ngram_blocker", None)
    if given is not None:
        generator.repeat_ngram_blocker = NoRepeatedNgrams(given.no_repeat_ngram_size, generator.eos)
