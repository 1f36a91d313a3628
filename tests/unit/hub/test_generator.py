"""Raw text in, raw text out on a tiny model: order, batches, streams, another output language."""

import logging
import math
import time
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq import hub
from laft_fairseq.errors import LaftError
from laft_fairseq.hub.raw_text import SubwordTokenizer
from laft_fairseq.method.fusion import fuse
from tests import tiny, tiny_text

SEARCH: dict[str, Any] = {"beam": 3, "max_len_b": 4}


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> SubwordTokenizer:
    path = tmp_path_factory.mktemp("pieces") / "sentence.bpe.model"
    return SubwordTokenizer(tiny_text.write_sentencepiece(path), tiny.dictionary())


def generator(
    pieces: SubwordTokenizer, layout: str | None = None, seed: int = 5, **options: Any
) -> hub.Generator:
    """A model whose outputs differ from text to text and from language to language."""
    model = tiny.model(layout=layout, **options)
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:  # layer norms stay, so that no bias drowns the text
                parameter.copy_(torch.randn(parameter.shape, generator=noise) * 0.4)
    task = tiny.task(tag_layout=layout, max_source_positions=64, max_target_positions=64)
    return hub.Generator(model, task, pieces, "checkpoint.pt")


@pytest.fixture(scope="module")
def french(pieces: SubwordTokenizer) -> hub.Generator:
    return generator(pieces)


TEXTS = [*tiny_text.raw("fr_XX", 5, seed=4), "", " \t ", *tiny_text.raw("fr_XX", 3, seed=5), ""]


def test_a_line_out_for_each_line_in(french: hub.Generator) -> None:
    """Each text's output is what it gets alone, whatever the batches and buffers."""
    alone = [french.generate([text], "fr_XX", **SEARCH)[0] for text in TEXTS]
    assert [not text.strip() for text in TEXTS] == [not text for text in alone]
    assert len(set(alone)) > 3
    for batches in ({}, {"batch_size": 2}, {"max_tokens": 25}):
        assert french.generate(TEXTS, "fr_XX", **SEARCH, **batches) == alone
    for size in (1, 4, 100):
        assert list(french.generate_iter(TEXTS, "fr_XX", None, size, **SEARCH)) == alone
    assert french.generate([], "fr_XX") == []


def test_a_length_limit_by_the_source_is_the_texts_own(french: hub.Generator) -> None:
    search = {"beam": 2, "max_len_a": 0.3, "max_len_b": 1, "min_len": 1}
    alone = [french.generate([text], "fr_XX", **search)[0] for text in TEXTS]
    assert french.generate(TEXTS, "fr_XX", **search) == alone


def test_n_best_with_scores(french: hub.Generator) -> None:
    beams = list(french.hypotheses(TEXTS, "fr_XX", **SEARCH, nbest=3))
    assert [len(beam) for beam in beams] == [3] * len(TEXTS)
    for beam, text in zip(beams, TEXTS, strict=True):
        scores = [hypothesis.score for hypothesis in beam]
        assert scores == sorted(scores, reverse=True)
        assert (scores == [0.0] * 3) == (not text.strip())
    best = french.generate(TEXTS, "fr_XX", **SEARCH)
    assert [beam[0].text for beam in beams] == best


def test_scores_are_divided_by_the_length(french: hub.Generator) -> None:
    """Four tokens and ``</s>``."""
    search = {"beam": 1, "max_len_b": 4, "min_len": 4}
    whole, mean, more = (
        [beam[0].score for beam in french.hypotheses(TEXTS[:3], "fr_XX", lenpen=lenpen, **search)]
        for lenpen in (0.0, 1.0, 2.0)
    )
    assert mean == pytest.approx([score / 5 for score in whole])
    assert more == pytest.approx([score / 25 for score in whole])


def greedy(owner: hub.Generator, text: str, lang: str, output: str) -> str:
    """Step by step: remove with ``lang``'s components, fuse the mean s_L of ``output``."""
    model, words = owner.model, tiny.dictionary()
    source = owner.tokenizer.encode(text).tolist()
    source = [*source, words.index(f"[{lang}]")]
    tokens = torch.tensor([source])  # (1, T)
    out = model.encoder.forward_backbone(tokens, None)
    h = model.encoder.representations(tokens, out).h  # (T, 1, d)
    mean = model.encoder.language_components[output].mean_removed  # (d,)
    fusion = model.encoder.fusion
    assert fusion is not None
    fused = fuse(h, mean.unsqueeze(0), fusion.down, fusion.up)
    written = [words.index(f"[{output}]")]
    forbidden = [0, 1, 3, *tiny.ids("<mask> [en_XX] [fr_XX] [zh_CN]")]
    while len(written) < 7 and written[-1] != 2:
        encoded = {**out, "encoder_out": [fused]}
        logits = model.decoder(torch.tensor([written]), encoder_out=encoded)[0][0, -1]  # (V,)
        logits[[*forbidden, 2] if len(written) == 1 else forbidden] = -math.inf
        written.append(int(logits.argmax()))
    return owner.tokenizer.decode(torch.tensor([t for t in written[1:] if t != 2]), set())


Searched = tuple[list[int], list[int], float]  # source, output, its log-probability


def searched(
    owner: hub.Generator, texts: list[str], monkeypatch: pytest.MonkeyPatch, **search: Any
) -> tuple[list[list[str]], list[Searched]]:
    """The outputs of each text, and what the search found."""
    tokens: list[Searched] = []
    stock = owner.task.inference_step

    def spy(generator: Any, models: Any, batch: Any, *args: Any) -> Any:
        found = stock(generator, models, batch, *args)
        for source, beam in zip(batch["net_input"]["src_tokens"].tolist(), found, strict=True):
            kept = [token for token in source if token != 1]
            tokens.extend((kept, h["tokens"].tolist(), float(h["positional_scores"].sum()))
                          for h in beam)  # fmt: skip
        return found

    monkeypatch.setattr(owner.task, "inference_step", spy)
    outputs = [[one.text for one in beam] for beam in owner.hypotheses(texts, "fr_XX", **search)]
    return outputs, tokens


def log_probability(owner: hub.Generator, found: Searched, temperature: float) -> float:
    """Of the output, by whole passes of each model, whose probabilities are averaged."""
    source, output, _ = found
    lead = owner.task.layout.lead
    begin = [*[2] * lead, tiny.dictionary().index("[fr_XX]")]
    given = torch.tensor([[*begin, *output[:-1]]])
    with torch.no_grad():
        probabilities = [
            (model(torch.tensor([source]), None, given)[0][0, lead:] / temperature).softmax(-1)
            for model in owner.models.values()
        ]
    mean = torch.stack(probabilities).mean(0)  # (T, V)
    return float(mean.gather(1, torch.tensor(output)[:, None]).log().sum())


KINDS: dict[str, dict[str, Any]] = {
    "ensemble": {"nbest": 3, **SEARCH},
    "sampling": {"sampling": True, "beam": 3, "nbest": 3, "max_len_b": 6},
    "top-k": {"sampling": True, "sampling_topk": 1, "beam": 1, "max_len_b": 6},
    "top-p": {"sampling": True, "sampling_topp": 0.001, "beam": 1, "max_len_b": 6},
    "temperature": {"temperature": 2.5, "nbest": 3, **SEARCH},
    "prefix": {"prefix": "w3c3 w4", "nbest": 3, "beam": 3, "max_len_b": 8},
    "constraints": {"constraints": "unordered", "beam": 3, "max_len_b": 8},
    "ordered": {"constraints": "ordered", "beam": 3, "max_len_b": 8},
}


@pytest.mark.parametrize(
    ("kind", "layout"), [*((kind, "suffix") for kind in KINDS), ("prefix", "prefix")]
)
def test_each_kind_of_search(
    pieces: SubwordTokenizer, kind: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scores are log-probabilities of the models, and it does what it is asked for."""
    owner = generator(pieces, layout)
    greedy = owner.generate(TEXTS[:5], "fr_XX", beam=1, max_len_b=6)
    if kind == "ensemble":
        other = generator(pieces, layout, seed=8)
        owner.add(other.model, other.task, "other.pt")
    texts, search = list(TEXTS[:5]), KINDS[kind]
    if "constraints" in search:
        texts = [f"{text}\tw3c3\tw1" * (n != 2) or text for n, text in enumerate(texts)]
    torch.manual_seed(1)
    outputs, found = searched(owner, texts, monkeypatch, **search)
    assert len(found) == 5 * search["beam"] or ("constraints" in search and len(found) >= 5)
    for one in found:
        expected = log_probability(owner, one, search.get("temperature", 1.0))
        assert one[2] == pytest.approx(expected, abs=1e-3)
    best = [beam[0] for beam in outputs]
    if kind in ("top-k", "top-p"):
        assert best == greedy
    elif kind == "sampling":
        assert len({text for beam in outputs for text in beam}) > 10
        torch.manual_seed(1)
        assert searched(owner, texts, monkeypatch, **search)[0] == outputs
    elif kind == "prefix":
        assert all(text.startswith("w3c3 w4") for beam in outputs for text in beam)
    elif kind in ("constraints", "ordered"):
        held = [(text.find("w3c3"), text.find("w1")) for n, text in enumerate(best) if n != 2]
        assert all(min(places) >= 0 for places in held)
        assert kind == "constraints" or all(first < second for first, second in held)


def test_the_groups_of_a_diverse_beam(
    french: hub.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unlike each other, and those of a text alone whatever its number and its batch."""
    search = {"beam": 4, "nbest": 4, "max_len_b": 4, "lenpen": 0.0}
    groups = {"diverse_beam_groups": 4, "diverse_beam_strength": 9.0}
    outputs, _ = searched(french, TEXTS, monkeypatch, **search, **groups, batch_size=3)
    alone = [searched(french, [text], monkeypatch, **search, **groups)[0][0] for text in TEXTS]
    assert outputs == alone
    starts = [{text.split(" ")[0][:3] for text in beam} for beam in outputs]
    plain, _ = searched(french, TEXTS, monkeypatch, **search)
    assert sum(map(len, starts)) > sum(len({t.split(" ")[0][:3] for t in beam}) for beam in plain)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"layout": "prefix"}, "other.pt: its tag layout is not that of checkpoint.pt; "),
        ({"tags": ("fr_XX", "en_XX", "zh_CN")}, "other.pt: its dictionary is not that of"),
    ],
)
def test_an_ensemble_of_unlike_models(
    pieces: SubwordTokenizer, other: dict[str, Any], message: str
) -> None:
    first, tags = generator(pieces), other.get("tags", tiny.TAGS)
    task = tiny.task(tags=tags, tag_layout=other.get("layout"))
    with pytest.raises(LaftError, match=f"^{message}"):
        first.add(first.model, task, "other.pt")
    del first.model.encoder.language_components["fr_XX"]
    second = generator(pieces)
    second.add(first.model, first.task, "other.pt")
    with pytest.raises(LaftError, match=r"^other\.pt: holds no components of language fr_XX"):
        second.generate(["w6c6"], "fr_XX")


def test_words_inside_a_text_without_spaces_have_no_word_start(french: hub.Generator) -> None:
    search = {"constraints": "unordered", "beam": 3, "max_len_b": 8}
    assert "六" in french.generate(["一二\t六"], "zh_CN", **search)[0]
    with pytest.raises(LaftError, match="number 1: --constraints: the backbone has no subwords"):
        french.generate(["一二\tЖ"], "zh_CN", **search)
    with pytest.raises(LaftError, match="number 2: --constraints: 10 tokens, but outputs have at"):
        french.generate(["一", "一\tw1c1 w2c2 w3c3\tw1c1 w2c2"], "fr_XX", **search)
    with pytest.raises(LaftError, match="--constraints: no output was found that holds them"):
        french.generate(["一\tw1c1\tw1c1"], "fr_XX", **search, no_repeat_ngram_size=1)
    with pytest.raises(LaftError, match="--prefix: 4 tokens, but outputs have at most 3"):
        french.generate(["一"], "fr_XX", prefix="w1c1 w2c2", max_len_b=3)


def test_another_output_language(french: hub.Generator) -> None:
    texts = tiny_text.raw("fr_XX", 6, seed=4)
    search = {"beam": 1, "max_len_b": 6}
    with torch.no_grad():
        expected = [greedy(french, text, "fr_XX", "zh_CN") for text in texts]
    outputs = french.generate(texts, "fr_XX", "zh_CN", **search)
    assert outputs == expected
    in_french = french.generate(texts, "fr_XX", **search)
    assert outputs != in_french
    assert french.generate(texts, "fr_XX", "fr_XX", **search) == in_french


def test_a_row_without_fusion_changes_its_tag_alone(pieces: SubwordTokenizer) -> None:
    plain = generator(pieces, method="mbart_full", adapters=())
    texts = tiny_text.raw("fr_XX", 6, seed=4)
    first = plain.model.tags.index("zh_CN")
    outputs = plain.generate(texts, "fr_XX", "zh_CN", **SEARCH)
    assert outputs != plain.generate(texts, "fr_XX", **SEARCH)
    seen = []
    encoder_forward = plain.model.encoder.forward

    def spy(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs.pop("output_language").tolist())
        return encoder_forward(*args, **kwargs)

    plain.model.encoder.forward = spy  # type: ignore[method-assign]
    assert plain.generate(texts, "fr_XX", "zh_CN", **SEARCH) == outputs
    assert seen == [[first] * 6]


def test_the_prefix_layout_works_alike(pieces: SubwordTokenizer, french: hub.Generator) -> None:
    """mBART-50's: no tag in the output, and the same whatever the batches."""
    prefixed = generator(pieces, layout="prefix")
    outputs = prefixed.generate(TEXTS, "fr_XX", "zh_CN", **SEARCH)
    alone = [prefixed.generate([text], "fr_XX", "zh_CN", **SEARCH)[0] for text in TEXTS]
    assert outputs == alone
    assert not any("[" in text for text in outputs)
    hypotheses = [next(owner.hypotheses(TEXTS, "fr_XX", **SEARCH)) for owner in (prefixed, french)]
    assert hypotheses[0][0].score != pytest.approx(hypotheses[1][0].score, abs=1e-3)


def test_a_stream_is_read_no_further_than_the_buffer(french: hub.Generator) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield TEXTS[read % 3]

    outputs = french.generate_iter(endless(), "fr_XX", None, 4, beam=1, max_len_b=3)
    assert read == 0
    first = [next(outputs) for _ in range(4)]
    assert read == 4
    first.append(next(outputs))
    assert read == 8
    assert first == [french.generate([TEXTS[n % 3]], "fr_XX", beam=1, max_len_b=3)[0]
                     for n in range(1, 6)]  # fmt: skip


def test_an_output_comes_when_all_before_it_are_done(
    french: hub.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the buffer's end; in order, whatever the batches; `on_done` counts each batch."""
    texts = [*tiny_text.raw("fr_XX", 7, seed=4), "", "w6c6"]
    expected = french.generate(texts, "fr_XX", **SEARCH)
    searches, done = 0, list[int]()
    stock = french.task.inference_step

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal searches
        searches += 1
        return stock(*args, **kwargs)

    monkeypatch.setattr(french.task, "inference_step", counting)
    outputs, searched = [], []
    for beam in french.hypotheses(texts, "fr_XX", None, 100, done.append, batch_size=1, **SEARCH):
        outputs.append(beam[0].text)
        searched.append(searches)
    assert outputs == expected
    assert searched == list(range(1, 10))
    assert done == [1] * 9
    list(french.hypotheses(texts, "fr_XX", None, 4, done.append, batch_size=3, **SEARCH))
    assert (sum(done[9:]), max(done[9:])) == (9, 3)


def test_two_languages_from_one_generator_at_once(french: hub.Generator) -> None:
    texts = tiny_text.raw("en_XX", 4, seed=6)
    both = [french.generate_iter(texts, tag, None, 2, **SEARCH) for tag in ("en_XX", "fr_XX")]
    pairs = list(zip(*both, strict=True))
    assert [list(outputs) for outputs in zip(*pairs, strict=True)] == [
        french.generate(texts, tag, **SEARCH) for tag in ("en_XX", "fr_XX")
    ]


def test_threads_take_turns(french: hub.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two languages at once; each search waits a little where it would let the other one in."""
    texts = {tag: tiny_text.raw(tag, 4, seed=4) for tag in ("en_XX", "fr_XX")}
    expected = {tag: french.generate(lines, tag, **SEARCH) for tag, lines in texts.items()}
    stock = french.task.inference_step

    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.01)
        result = stock(*args, **kwargs)
        time.sleep(0.01)
        return result

    monkeypatch.setattr(french.task, "inference_step", slow)
    with ThreadPoolExecutor(2) as threads:
        jobs = [(tag, threads.submit(french.generate, texts[tag], tag, **SEARCH, batch_size=size))
                for size in (1, 2, 4) for tag in texts]  # fmt: skip
        assert all(job.result() == expected[tag] for tag, job in jobs)


def test_an_over_long_text_is_cut_and_named(
    french: hub.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    whole, cut = " ".join(["w6c6"] * 99), " ".join(["w6c6"] * 31)  # 62 tokens, </s>, tag: 64
    with caplog.at_level(logging.WARNING):
        outputs = french.generate(["", "w7c7", whole], "fr_XX", **SEARCH)
    assert caplog.messages == ["input line 3: cut to the model's 64 tokens (it has 200)"]
    caplog.clear()
    assert french.generate([cut], "fr_XX", **SEARCH) == outputs[2:]
    assert not caplog.messages
    with caplog.at_level(logging.WARNING):
        list(french.generate_iter(["w6c6", "w6c6", whole], "fr_XX", None, 2, **SEARCH))
    assert caplog.messages[0].startswith("input line 3:")


def test_what_the_checkpoint_lacks_is_named(pieces: SubwordTokenizer) -> None:
    bare = generator(pieces, adapters=("fr_XX",))
    assert bare.languages() == ["fr_XX"]
    with pytest.raises(LaftError, match=r"checkpoint\.pt: holds no adapter of language zh_CN, onl"):
        bare.generate(["w6c6"], "fr_XX", "zh_CN")
    assert bare.generate(["w6c6"], "en_XX", "fr_XX", **SEARCH)  # the output's alone is needed
    del bare.model.encoder.language_components["fr_XX"]
    with pytest.raises(
        LaftError, match=r"holds no mean s_L, .* of language fr_XX, only of en_XX, "
    ):
        bare.generate(["w6c6"], "en_XX", "fr_XX")
    with pytest.raises(LaftError, match="holds no components of language fr_XX"):
        bare.generate(["w6c6"], "fr_XX")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lang": "xx_XX"}, r"--lang: unknown language xx_XX; \S+ has en_XX, fr_XX, zh_CN$"),
        ({"lang": "fr"}, r"--lang: unknown language fr \(did you mean fr_XX\?\); "),
        ({"lang": "en_XX,fr_XX"}, "--lang en_XX,fr_XX: name one language"),
        ({"lang": "fr_XX", "output_lang": "de_DE"}, "--output-lang: unknown language de_DE"),
        ({"lang": "fr_XX", "buffer_size": 0}, "--buffer-size 0: at least 1"),
        ({"lang": "fr_XX", "sampling_topp": 0.9}, "--sampling-topp 0.9: needs --sampling"),
        ({"lang": "fr_XX", "sampling": True}, "--sampling: draws --beam 5 outputs"),
        ({"lang": "fr_XX", "sampling": True, "nbest": 5, "sampling_topk": 99}, "dictionary has"),
        ({"lang": "fr_XX", "diverse_beam_groups": 2}, "--diverse-beam-groups 2: must divide"),
        ({"lang": "fr_XX", "constraints": "yes"}, "--constraints yes: ordered or unordered"),
        ({"lang": "fr_XX", "prefix": "w1", "constraints": "ordered"}, "--prefix and --constrai"),
        ({"lang": "fr_XX", "diverse_beam_groups": 5, "constraints": "ordered"}, "be combined"),
    ],
)
def test_refusals(french: hub.Generator, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(LaftError, match=message):
        french.hypotheses(["w6c6"], **arguments)


def test_wrong_calls(french: hub.Generator) -> None:
    for texts in ("w6c6", b"w6c6", None, 5):
        with pytest.raises(LaftError, match="a list of texts is needed"):
            french.hypotheses(texts, "fr_XX")  # type: ignore[arg-type]
    for text, message in (
        (None, "is a NoneType, not"),
        (b"w6", "is a bytes"),
        ("\ud83d", "U.D83D"),
    ):
        with pytest.raises(LaftError, match=f"texts: number 2 .*{message}"):
            french.generate(["w6c6", text], "fr_XX")  # type: ignore[list-item]
    for lang in (None, 5, ["fr_XX"]):
        with pytest.raises(LaftError, match="name one language"):
            french.generate(["w6c6"], lang)  # type: ignore[arg-type]
    for name, value in (("beam", "5"), ("beam", 2.5), ("lenpen", "1"), ("max_len_b", None)):
        with pytest.raises(LaftError, match=f"--{name.replace('_', '-')} {value!r}: not a"):
            french.generate(["w6c6"], "fr_XX", **{name: value})
    with pytest.raises(LaftError, match="is for hypotheses"):
        french.generate(["w6c6"], "fr_XX", nbest=2)
    for name in ("nonsense", "cuda:77", "meta"):
        with pytest.raises(LaftError, match=f"--device {name}: .* no such device"):
            hub.load("checkpoint.pt", device=name)


def test_plain_backbone_from_its_folder(tmp_path: Path) -> None:
    """`load` finds everything beside it."""
    model = tiny.model(method="mbart_full")
    tiny.scramble(model.decoder, std=0.3)
    heads = Namespace(encoder_attention_heads=2, decoder_attention_heads=2)
    state = {name: t for name, t in tiny.whole_state_dict(model).items() if name != "laft.header"}
    torch.save({"args": heads, "model": state}, tmp_path / "model.pt")
    tiny.write_dictionary(tmp_path)
    tiny_text.write_sentencepiece(tmp_path / "sentence.bpe.model")
    loaded = hub.load(tmp_path, device="cpu")
    assert not loaded.model.training
    task = tiny.task(max_source_positions=64, max_target_positions=64)
    expected = hub.Generator(model, task, loaded.tokenizer, "")
    texts = tiny_text.raw("zh_CN", 3)
    assert loaded.generate(texts, "zh_CN", **SEARCH) == expected.generate(texts, "zh_CN", **SEARCH)
    named = (tmp_path / "model.pt", tmp_path, tmp_path / "sentence.bpe.model", tmp_path)
    half = hub.load(tmp_path, device="cpu", half=True)
    assert half.model.decoder.output_projection.weight.dtype == torch.bfloat16
    pairs = [[next(owner.hypotheses([text], "zh_CN", **SEARCH))[0].score for text in texts]
             for owner in (half, loaded)]  # fmt: skip
    assert pairs[0] != pairs[1] and pairs[0] == pytest.approx(pairs[1], rel=0.05)
    pair = hub.load([tmp_path, tmp_path / "model.pt"], device="cpu")
    assert len(pair.models) == 1 and hub.load([tmp_path], device="cpu")
    again = hub.load(*named, device="cpu")  # a plain backbone has no use for the last
    assert again.generate(texts, "zh_CN", **SEARCH) == loaded.generate(texts, "zh_CN", **SEARCH)
    with pytest.raises(LaftError, match=r"^no/model: no such sentencepiece model"):
        hub.load(tmp_path, sentencepiece_model="no/model", device="cpu")
