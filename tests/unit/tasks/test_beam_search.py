"""A beam search with fewer passes over the vocabulary finds what fairseq's finds."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from fairseq.search import BeamSearch
from fairseq.sequence_generator import EnsembleModel, SequenceGenerator

from laft_fairseq.checkpoints.record import shape_arguments
from laft_fairseq.hub.loading import load_model
from laft_fairseq.tasks.beam_search import (
    BLOCK,
    RowwiseBeamSearch,
    SingleModel,
    best_of_rows,
    use_fast_beam_search,
)

MINI = Path(__file__).resolve().parents[3] / "examples" / "mini" / "model"
TEXTS = ("the castle was built in the year", "a river in the north", "he was born in Paris and is")


@pytest.mark.parametrize("entries", [11, 4 * BLOCK, 40 * BLOCK, 40 * BLOCK + 7, 41 * BLOCK - 1])
def test_the_best_of_each_row(entries: int) -> None:
    torch.manual_seed(entries)
    values = torch.randn(6, entries)
    values[0] = -torch.inf  # all but the last entry, which fills no block
    values[0, -1] = 0.0
    values[1, :10] = torch.arange(10.0) + 9  # all in one block
    actual, places = best_of_rows(values, 10)
    assert torch.equal(actual, values.topk(10).values)
    assert torch.equal(values.gather(1, places), actual)
    assert all(len(set(row)) == 10 for row in places.tolist())


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("entries", [9, 100 * BLOCK + 3])
def test_a_step_is_fairseqs(step: int, entries: int) -> None:
    torch.manual_seed(step)
    known = Dictionary()
    for number in range(entries - len(known)):
        known.add_symbol(str(number))
    lprobs = torch.randn(2, 5, entries).log_softmax(-1)
    lprobs[..., 1] = -torch.inf
    scores = -torch.rand(2, 5, 4)
    expected = BeamSearch(known).step(step, lprobs.clone(), scores[:, :, :step])
    actual = RowwiseBeamSearch(known).step(step, lprobs.clone(), scores[:, :, :step])
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


def generated(generator: Any, model: Any, rows: list[list[int]], tag: int) -> list[Any]:
    """Tokens and score of every hypothesis, for a left-padded batch."""
    longest = max(map(len, rows))
    tokens = torch.tensor([[1] * (longest - len(row)) + row for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    sample = {"id": torch.arange(len(rows)),
              "net_input": {"src_tokens": tokens, "src_lengths": lengths}}  # fmt: skip
    with torch.no_grad():
        actual = generator.generate([model], sample, bos_token=tag)
    return [(one["tokens"].tolist(), float(one["score"])) for text in actual for one in text]


@pytest.fixture(scope="module")
def ours() -> tuple[Any, Any]:
    return load_model(str(MINI / "model.pt"), str(MINI))


def test_hypotheses_are_those_of_stock_fairseq(ours: tuple[Any, Any]) -> None:
    """Model, generator and search are fairseq's own; the weights are the shipped backbone's."""
    model, task = ours
    state = torch.load(MINI / "model.pt", weights_only=True)["model"]
    options = Namespace(
        task="translation", encoder_attention_heads=4, decoder_attention_heads=4,
        share_all_embeddings=True, layernorm_embedding=True, encoder_normalize_before=True,
        decoder_normalize_before=True, **shape_arguments(state),
    )  # fmt: skip
    ARCH_CONFIG_REGISTRY["mbart_large"](options)
    known = task.dictionary
    both = Namespace(source_dictionary=known, target_dictionary=known)
    stock = ARCH_MODEL_REGISTRY["mbart_large"].build_model(options, both)
    stock.load_state_dict({name: tensor for name, tensor in state.items() if "laft" not in name})
    stock.eval()
    search = Namespace(beam=5, lenpen=1.5, max_len_a=0, max_len_b=20)
    generator = task.build_generator([model], search)
    assert type(generator.model) is SingleModel and type(generator.search) is RowwiseBeamSearch
    never = (*(f"[{tag}]" for tag in task.tags), "<mask>", "<s>")
    theirs = SequenceGenerator(
        [stock], known, beam_size=5, len_penalty=1.5, max_len_a=0, max_len_b=20,
        unk_penalty=float("inf"), tokens_to_suppress=never,
    )  # fmt: skip
    tag = known.index("[en_XX]")
    pieces = [[known.index(f"\u2581{word}") for word in text.split()] for text in TEXTS]
    rows = [[*row, known.index("<mask>"), 2, tag] for row in pieces]
    model.set_beam_size(5)
    try:
        actual = generated(generator, model, rows, tag)
    finally:
        model.set_beam_size(1)
    expected = generated(theirs, stock, rows, tag)
    assert [tokens for tokens, _ in actual] == [tokens for tokens, _ in expected]
    assert [score for _, score in actual] == pytest.approx([s for _, s in expected], abs=1e-5)
    assert len({tuple(tokens) for tokens, _ in actual}) >= 12  # of 15: no degenerate case


def test_other_searches_stay_as_they_are(ours: tuple[Any, Any]) -> None:
    model, task = ours
    search = Namespace(beam=4, diverse_beam_groups=2, diverse_beam_strength=0.5, max_len_b=20)
    assert type(task.build_generator([model], search).model) is EnsembleModel
    pair = SequenceGenerator([model, model], task.dictionary)
    use_fast_beam_search(pair)
    assert type(pair.model) is EnsembleModel and type(pair.search) is BeamSearch
