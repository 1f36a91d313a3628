"""--no-repeat-ngram-size: no n-gram of an output's text comes twice, and </s> stays possible."""

import math
from argparse import Namespace
from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq.tasks.beam_search import NoRepeatedNgrams
from tests import tiny

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
    model = tiny.model(layout=search.pop("layout", None))
    tiny.scramble(model, std=0.4)
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
