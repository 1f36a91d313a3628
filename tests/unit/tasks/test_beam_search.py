"""A faster beam search finds what fairseq's finds; --no-repeat-ngram-size repeats no n-gram."""

import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from fairseq.search import BeamSearch
from fairseq.sequence_generator import SequenceGenerator
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from laft_fairseq.checkpoints.record import shape_arguments
from laft_fairseq.errors import LaftError
from laft_fairseq.hub.loading import load_model
from laft_fairseq.tasks.beam_search import (
    BLOCK,
    FiniteEnsemble,
    NoRepeatedNgrams,
    RowwiseBeamSearch,
    SingleModel,
    best_of_rows,
    improve_search,
)
from laft_fairseq.training import precision
from tests import tiny

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


@pytest.mark.parametrize("onednn", [False, True])
def test_hypotheses_are_those_of_stock_fairseq(
    ours: tuple[Any, Any], onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Model, generator and search are fairseq's own; the weights are the shipped backbone's."""
    if onednn and not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(precision, "mkl_is_slow", lambda: onednn)
    monkeypatch.setattr(precision, "SMALLEST", 0)
    model, task = ours
    state = torch.load(MINI / "model.pt", weights_only=True)["model"]
    options = Namespace(
        task="translation", encoder_attention_heads=4, decoder_attention_heads=4,
        share_all_embeddings=True, encoder_normalize_before=True,
        decoder_normalize_before=True, **shape_arguments(state, "model.pt"),
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
    assert type(task.build_generator([model], search).model) is FiniteEnsemble
    pair = SequenceGenerator([model, model], task.dictionary)
    improve_search(pair)
    assert type(pair.model) is FiniteEnsemble and type(pair.search) is BeamSearch


def test_half_precision_searches_in_bf16_and_leaves_training_alone() -> None:
    """fairseq-generate --half; the source's keys and values are laid out once for all steps."""
    task, model = tiny.task(half=True), tiny.scrambled()
    search = Namespace(beam=2, max_len_a=0, max_len_b=4)
    task.build_generator([model.train()], search)
    assert model.encoder.embed_tokens.weight.dtype == torch.float32
    generator = task.build_generator([model.eval()], search)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    attention, states = model.decoder.layers[0].encoder_attn, []
    model.decoder.register_forward_hook(
        lambda _, args, kwargs, result: states.append(
            attention._get_input_buffer(kwargs["incremental_state"])["prev_key"]
        ), with_kwargs=True,
    )  # fmt: skip
    rows = [tiny.ids(text) for text in SOURCES[:2]]
    sample = {"net_input": {"src_tokens": pad_sequence([torch.tensor(row) for row in rows], True, 1,
                                                       padding_side="left")}}  # fmt: skip
    sample["net_input"]["src_lengths"] = torch.tensor([len(row) for row in rows])
    outputs = task.inference_step(generator, [model], sample)
    assert [len(beam) for beam in outputs] == [2, 2]
    assert all(beam[0]["score"].dtype == torch.float32 for beam in outputs)
    assert len(states) > 1 and all(keys.is_contiguous() for keys in states)


EOS, PAD = 2, 1
SOURCES = ("▁w0 c0 ▁w1 c1 </s> [en_XX]", "▁w6 c6 ▁w7 c7 ▁w8 c8 </s> [fr_XX]", "一 二 </s> [zh_CN]")


def forbidden(text: list[int], n: int, entries: int) -> set[int]:
    """By trying each entry: whether the text with it at the end holds an n-gram twice."""
    held = [tuple(text[start : start + n]) for start in range(len(text) - n + 1)]
    return {e for e in range(entries) if tuple([*text, e][-n:]) in held and e != EOS}


def buffer(step: int, entries: int, rows: int = 6) -> Tensor:
    """(R, T) a tag, ``step`` random tokens, then padding."""
    tokens = torch.full((rows, 24), PAD)
    tokens[:, 0] = entries - 1  # the tag
    tokens[:, 1 : step + 1] = torch.randint(EOS, entries, (rows, step))
    return tokens


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("entries", [5, 40])
def test_what_is_forbidden_is_what_would_repeat(n: int, entries: int) -> None:
    torch.manual_seed(n)
    count = 0
    for step in range(20):
        tokens, lprobs = buffer(step, entries), torch.randn(6, entries).log_softmax(-1)
        lprobs[:, PAD] = -math.inf
        before = lprobs.clone()
        actual = NoRepeatedNgrams(n, EOS)(tokens, lprobs, 2, 3, step)
        assert actual is lprobs
        for row in range(6):
            text = tokens[row, 1 : step + 1].tolist()
            expected = before[row].clone()
            expected[list(forbidden(text, n, entries))] = -math.inf
            count += int((expected != before[row]).sum())
            assert torch.equal(actual[row], expected)
    assert count > 15 or entries == 40


def test_a_forced_token_and_the_end_stay_possible() -> None:
    """Rows: a prefix that repeats, the longest text, and the end next to others."""
    tokens = torch.tensor([[9, 5, 6, 5, 1], [9, 2, 2, 2, 1], [9, 5, 6, 2, 1]])
    lprobs = torch.full((3, 10), -math.inf)
    lprobs[0, 6] = lprobs[1, EOS] = -1.0
    lprobs[2] = -2.0
    actual = NoRepeatedNgrams(1, EOS)(tokens, lprobs, 3, 1, 3)
    assert [row.isfinite().nonzero().flatten().tolist() for row in actual] == [
        [6], [EOS], [0, 1, 2, 3, 4, 7, 8, 9]
    ]  # fmt: skip


def outputs(n: int, **search: Any) -> list[list[int]]:
    """Each text's hypotheses, of a model that repeats itself where it may."""
    model = tiny.scrambled(layout=search.pop("layout", None), std=0.4)
    task = tiny.task(tag_layout=model.encoder.language_tags.layout.value)
    options = Namespace(**{"beam": 4, "max_len_b": 9, "no_repeat_ngram_size": n, **search})
    tokens = tiny.rows(tiny.laid_out(SOURCES, task.layout.value))
    sample = {"net_input": {"src_tokens": tokens, "src_lengths": tokens.ne(PAD).sum(1)}}
    actual = task.inference_step(task.build_generator([model], options), [model], sample)
    assert [len(text) for text in actual] == [4, 4, 4]
    return [one["tokens"].tolist() for text in actual for one in text]


def repeated(tokens: list[int], n: int) -> bool:
    ngrams = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n)]  # less </s>
    return len(set(ngrams)) < len(ngrams)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    "search",
    [{"min_len": 8}, {"min_len": 8, "layout": "prefix"}, {"diverse_beam_groups": 2, "min_len": 8}],
)
def test_no_output_repeats_an_n_gram(n: int, search: dict[str, Any]) -> None:
    assert any(repeated(text, n) for text in outputs(0, **search))
    actual = outputs(n, **search)
    assert not any(repeated(text, n) for text in actual)
    assert all(text[-1] == EOS and EOS not in text[:-1] for text in actual)


def test_without_it_nothing_is_blocked() -> None:
    generator = tiny.task().build_generator([tiny.model()], Namespace(no_repeat_ngram_size=0))
    assert generator.repeat_ngram_blocker is None
    assert outputs(9, min_len=3) == outputs(0, min_len=3)


@pytest.mark.parametrize(
    "search", [{}, {"sampling": True, "nbest": 4}, {"diverse_beam_groups": 2}, {"ensemble": 2}]
)
@pytest.mark.parametrize("broken", ["encoder.layers.0.fc1.bias", "decoder.layer_norm.weight"])
def test_weights_that_are_no_numbers_are_one_line(search: dict[str, Any], broken: str) -> None:
    """Not an assertion of fairseq's, and no output, whichever search it is."""
    model = tiny.model(method="mbart_full")
    task = tiny.task()
    task.checkpoint = "nan.pt"
    with torch.no_grad():
        model.get_parameter(broken)[3] = math.nan
    models = [model] * search.pop("ensemble", 1)
    generator = task.build_generator(models, Namespace(beam=4, max_len_b=9, **search))
    tokens = tiny.rows(SOURCES)
    sample = {"net_input": {"src_tokens": tokens, "src_lengths": tokens.ne(PAD).sum(1)}}
    with pytest.raises(LaftError, match=r"^nan\.pt: writes no numbers \(NaN\): .* lower --lr"):
        task.inference_step(generator, models, sample)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "--beam 0: at least 1"),
        ({"nbest": 6}, "--nbest 6: at most --beam 5"),
        ({"lenpen": math.nan}, "--lenpen nan: not a finite number"),
        ({"lenpen": 1e300}, "--lenpen 1e.300: at most 10"),
        ({"temperature": 0.0}, "--temperature 0.0: at least 0.001"),
        ({"max_len_a": math.inf}, "--max-len-a inf: not a finite number"),
        ({"max_len_b": 0}, "--max-len-b 0: outputs of at most 0 tokens, but --min-len 1"),
        ({"min_len": 201}, "--max-len-b 200: outputs of at most 200 tokens, but --min-len 201"),
        ({"min_len": 100}, "--min-len 100: the model writes at most 63 tokens"),
    ],
)
@pytest.mark.parametrize("kind", [Namespace, OmegaConf.create])
def test_what_no_search_is_made_with(options: dict[str, Any], message: str, kind: Any) -> None:
    """As fairseq-generate and -interactive hand it over, and as a caller may."""
    defaults = {"beam": 5, "nbest": 1, "lenpen": 1.0, "max_len_a": 0.0, "max_len_b": 200}
    values = {**defaults, "min_len": 1, **options}
    given = Namespace(**values) if kind is Namespace else kind(values)
    with pytest.raises(LaftError, match=f"^{message}"):
        tiny.task().build_generator([tiny.model()], given)


def test_a_sentencepiece_model_that_is_not_there() -> None:
    with pytest.raises(LaftError, match=r"^--sentencepiece-model no\.model: no such file"):
        tiny.task().build_bpe(Namespace(_name="sentencepiece", sentencepiece_model="no.model"))
