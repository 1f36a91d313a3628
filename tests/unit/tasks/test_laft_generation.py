"""The task of stage 2: which pairs are read, and what beam search may write."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.logging import metrics

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.byte_fallback import check_input
from laft_fairseq.models.architectures import laft_mbart_tiny
from laft_fairseq.tasks.laft_generation import LaftGeneration
from tests import tiny

BEAM = Namespace(beam=3, lenpen=1.0, max_len_a=0, max_len_b=8)
LAYOUTS = pytest.mark.parametrize("layout", ["suffix", "prefix"])


def task(data: Path, **options: Any) -> LaftGeneration:
    return tiny.task("generation", data=str(data), **options)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("split", "options", "expected"),
    [
        ("train", {"train_langs": "en_XX", "gen_lang": "fr_XX"}, ["en_XX"]),
        ("train", {}, list(tiny.TAGS)),
        ("valid", {"train_langs": "en_XX"}, ["en_XX"]),
        ("valid", {"train_langs": "en_XX", "valid_langs": "zh_CN,fr_XX"}, ["zh_CN", "fr_XX"]),
        ("test", {"valid_langs": "zh_CN", "gen_lang": "fr_XX"}, ["fr_XX"]),
        ("test", {"valid_langs": "zh_CN"}, ["zh_CN"]),
    ],
)
def test_which_languages_are_read(
    data: Path, split: str, options: dict[str, str], expected: list[str]
) -> None:
    made = task(data, **options)
    made.load_dataset(split)
    pairs = made.datasets[split]
    actual = [int(pairs[index]["source"][-1]) for index in range(len(pairs))]
    count = 6 if split == "train" else 5
    assert actual == [made.tag_ids[tag] for tag in expected for _ in range(count)]


def test_sides_of_different_length(data: Path, tmp_path: Path) -> None:
    for side, count in (("src", 3), ("tgt", 2)):
        tiny.write_texts(tmp_path / "fr_XX" / f"train.src-tgt.{side}", [[5, 2]] * count)
    with pytest.raises(LaftError, match=r"train\.src-tgt\.src has 3 .*src-tgt\.tgt has 2 .*fr_XX"):
        task(tmp_path, train_langs="fr_XX").load_dataset("train")


@pytest.mark.parametrize("tags", [None, "fr_XX,en_XX"])
def test_raw_input_needs_one_language(data: Path, tags: str | None) -> None:
    with pytest.raises(LaftError, match="--gen-lang: name the one language"):
        task(data, gen_lang=tags).build_dataset_for_inference([torch.tensor([5, 2])], [2])


@LAYOUTS
def test_raw_input_is_tagged_and_cut(data: Path, layout: str) -> None:
    made = task(data, gen_lang="zh_CN", max_source_positions=4, tag_layout=layout)
    texts = made.build_dataset_for_inference([torch.tensor([5, 6, 7, 8, 2])], [5])
    zh = made.tag_ids["zh_CN"]
    assert texts[0]["source"].tolist() == {"suffix": [5, 6, 2, zh], "prefix": [zh, 5, 6, 2]}[layout]


def test_raw_input_of_a_script_that_the_dictionary_lacks(
    data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In bytes, which no output can be made of; symbols in bytes are no script."""
    made = task(data, gen_lang="zh_CN")
    word, foreign = tiny.ids("\u2581w1"), tiny.ids(" ".join(tiny.BYTES))

    def read(characters: int, words: int = 0) -> None:
        text = torch.tensor([*foreign * characters, *word * words, 2])
        made.build_dataset_for_inference([text], [len(text)])

    read(9)  # too short to tell
    read(10, words=70)
    assert not caplog.messages
    read(10, words=60)
    read(10, words=50)
    assert [message[:40] for message in caplog.messages] == [
        "input: language zh_CN: 33 % of 90 subword"[:40]
    ]
    with pytest.raises(LaftError, match="input: language zh_CN: 61 % of 49 subwords are bytes"):
        read(10, words=19)
    monkeypatch.setenv("LAFT_ALLOW_BYTES", "1")
    read(10)
    emoji = [f"<0x{byte:02X}>" for byte in "\U0001f600".encode()]
    assert check_input(emoji * 20, "fr_XX") == ""


def sources(layout: str, *texts: str) -> dict[str, Any]:
    """A batch to generate from: texts `X </s> [l]`, put into the tag layout."""
    rows = tiny.rows(tiny.laid_out(texts, layout))
    return {"net_input": {"src_tokens": rows, "src_lengths": rows.ne(1).sum(1)}}


def talker(wanted: list[str], layout: str) -> Any:
    """A model whose output layer likes some entries more and more, and others not at all."""
    built = tiny.model(method="mbart_full", layout=layout)
    dislike = torch.full((len(tiny.dictionary()),), -5.0)
    for rank, entry in enumerate(wanted):
        dislike[tiny.dictionary().index(entry)] = float(rank)
    plain = built.decoder.output_layer
    built.decoder.output_layer = lambda features: plain(features) * 0 + dislike
    return built


@LAYOUTS
def test_tags_and_marks_are_never_written(data: Path, layout: str) -> None:
    """Though the model wants nothing else."""
    made = task(data, tag_layout=layout)
    wanted = ["\u2581w1", "<mask>", "<s>", "<unk>", "[en_XX]", "[zh_CN]", "[fr_XX]"]
    built = talker(wanted, layout)
    generator = made.build_generator([built], BEAM)
    sample = sources(layout, "\u2581w7 </s> [fr_XX]", "一 </s> [zh_CN]")
    for hypotheses in made.inference_step(generator, [built], sample):
        tokens = {token for hypothesis in hypotheses for token in hypothesis["tokens"].tolist()}
        assert not tokens & set(tiny.ids("<mask> <s> [en_XX] [fr_XX] [zh_CN]"))
        assert 3 not in tokens
        assert tiny.ids("\u2581w1")[0] in tokens


@pytest.mark.parametrize("rows", [7, 10])
def test_a_generator_leaves_training_alone(data: Path, rows: int) -> None:
    """fairseq's own lets cross-attention skip sources from then on, beside the search too."""
    made = task(data)
    built = tiny.scrambled()
    texts = [f"\u2581w{n} c{n} </s> [fr_XX]" for n in range(rows)]
    source = tiny.rows(texts)
    lengths = torch.full((rows,), 4)
    before = built(source, lengths, tiny.rows(["[fr_XX] \u2581w1"] * rows))[0]
    generator = made.build_generator([built], BEAM)
    sample = {"net_input": {"src_tokens": source, "src_lengths": lengths}}
    for _ in range(2):
        after = built(source, lengths, tiny.rows(["[fr_XX] \u2581w1"] * rows))[0]
        assert torch.equal(after, before)
        made.inference_step(generator, [built], sample)


@pytest.mark.parametrize(("layout", "lead"), [("suffix", []), ("prefix", [2])])
def test_the_decoder_begins_with_the_sources_tag(
    data: Path, monkeypatch: pytest.MonkeyPatch, layout: str, lead: list[int]
) -> None:
    made, built = task(data, tag_layout=layout), tiny.model(layout=layout)
    generator = made.build_generator([built], BEAM)
    seen: list[list[list[int]]] = []
    plain = built.decoder._embed
    monkeypatch.setattr(
        built.decoder, "_embed",
        lambda tokens, *rest: seen.append(tokens.tolist()) or plain(tokens, *rest),
    )  # fmt: skip
    sample = sources(layout, "\u2581w7 </s> [fr_XX]", "一 </s> [zh_CN]")
    made.inference_step(generator, [built], sample)
    fr, zh = made.tag_ids["fr_XX"], made.tag_ids["zh_CN"]
    assert seen[0] == [[*lead, fr]] * 3 + [[*lead, zh]] * 3


@pytest.mark.parametrize(
    ("layout", "wanted", "search", "forced", "expected"),
    [
        # At the sentence's end, not at the tag, which is never written; fairseq wants a token.
        ("suffix", ["\u2581w1", "</s>", "[fr_XX]"], {"beam": 3}, 0, "\u2581w1 </s>"),
        ("prefix", ["\u2581w1", "</s>", "[fr_XX]"], {"beam": 3}, 0, "\u2581w1 </s>"),
        # At the last of 64 positions, of which the prefix layout's </s> takes one.
        ("suffix", ["</s>", "\u2581w1"], {"max_len_b": 200}, 0, "\u2581w1 " * 63 + "</s>"),
        ("prefix", ["</s>", "\u2581w1"], {"max_len_b": 200}, 0, "\u2581w1 " * 62 + "</s>"),
        # After the first tokens of a target, --prefix-size 2.
        ("suffix", ["\u2581w1", "</s>"], {}, 2, "\u2581w8 c8 </s>"),
        ("prefix", ["\u2581w1", "</s>"], {}, 2, "\u2581w8 </s>"),
    ],
)
def test_where_an_output_begins_and_ends(
    data: Path, layout: str, wanted: list[str], search: dict[str, int], forced: int, expected: str
) -> None:
    made, built = task(data, tag_layout=layout), talker(wanted, layout)
    options = Namespace(**{"beam": 1, "lenpen": 1.0, "max_len_a": 0, "max_len_b": 8, **search})
    target = tiny.rows(tiny.laid_out(["\u2581w8 c8 \u2581w9 </s> [fr_XX]"], layout))
    outputs = made.inference_step(
        made.build_generator([built], options),
        [built],
        sources(layout, "\u2581w7 </s> [fr_XX]"),
        prefix_tokens=target[:, :forced] if forced else None,
    )
    assert outputs[0][0]["tokens"].tolist() == tiny.ids(expected)


@LAYOUTS
def test_rouge_is_summed_by_language(
    data: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """Two French rows, one of them right and so a copy, and a Chinese one that is half right."""
    made = task(data, eval_rouge=True, tag_layout=layout)
    built = tiny.model(method="mbart_full", layout=layout)
    written = ["\u2581w7 \u2581w8 </s>", "\u2581w1 </s>", "一 四 </s>"]
    hypotheses = [[{"tokens": torch.tensor(tiny.ids(text))}] for text in written]
    monkeypatch.setattr(made, "inference_step", lambda *unused: hypotheses)
    made.rouge.generator = object()
    wanted = ["\u2581w7 \u2581w8 </s> [fr_XX]", "\u2581w9 </s> [fr_XX]", "一 二 </s> [zh_CN]"]
    targets = tiny.rows(tiny.laid_out(wanted, layout), left=False)
    sample = sources(layout, *wanted) | {"target": targets}
    assert made.rouge.sums(sample, built) == {
        "_eval_rougeL_en_XX": 0.0, "_eval_copied_en_XX": 0.0, "_eval_count_en_XX": 0.0,
        "_eval_rougeL_fr_XX": 100.0, "_eval_copied_fr_XX": 100.0, "_eval_count_fr_XX": 2.0,
        "_eval_rougeL_zh_CN": 50.0, "_eval_copied_zh_CN": 0.0, "_eval_count_zh_CN": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(("new", "protocol"), [("qq_XX", "unicode"), ("eo_XX", "xnlg")])
def test_a_language_without_rouge_is_refused_before_training(new: str, protocol: str) -> None:
    made = tiny.task(new=[new], eval_rouge=True, eval_rouge_protocol=protocol, valid_langs=new)
    options = Namespace(arch="laft_mbart_tiny", method="mbart_full")
    laft_mbart_tiny(options)
    with pytest.raises(LaftError, match=new):
        made.build_model(options)
    made.cfg.valid_langs = "fr_XX"
    made.build_model(options)


class Criterion:
    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, float]]) -> None:
        """Nothing of its own."""


def test_rouge_is_reported_for_each_language(data: Path) -> None:
    """From batches of one language each: 30 and one copy in two French texts, 5 in one Chinese."""
    made = task(data, eval_rouge=True, valid_langs="fr_XX,zh_CN")
    common = {"ntokens": 1, "nsentences": 1}
    outputs = [
        {**common, "_eval_rougeL_fr_XX": 30.0, "_eval_copied_fr_XX": 100.0,
         "_eval_count_fr_XX": 2.0, "_eval_rougeL_zh_CN": 0.0, "_eval_copied_zh_CN": 0.0,
         "_eval_count_zh_CN": 0.0},
        {**common, "_eval_rougeL_fr_XX": 0.0, "_eval_copied_fr_XX": 0.0,
         "_eval_count_fr_XX": 0.0, "_eval_rougeL_zh_CN": 5.0, "_eval_copied_zh_CN": 0.0,
         "_eval_count_zh_CN": 1.0},
    ]  # fmt: skip
    with metrics.aggregate(new_root=True) as actual:
        made.reduce_metrics(outputs, Criterion())
    values = actual.get_smoothed_values()
    assert (values["rougeL_fr_XX"], values["rougeL_zh_CN"], values["rougeL"]) == (15.0, 5.0, 10.0)
    assert (values["copied_fr_XX"], values["copied_zh_CN"], values["copied"]) == (50.0, 0.0, 25.0)
