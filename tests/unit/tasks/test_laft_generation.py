"""The task of stage 2: which pairs are read, and what beam search may write."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.logging import metrics

from laft_fairseq.errors import LaftError
from laft_fairseq.tasks.laft_generation import LaftGeneration, _MeanOf
from tests import tiny

BEAM = Namespace(beam=3, lenpen=1.0, max_len_a=0, max_len_b=8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_data(tmp_path_factory.mktemp("data"), count=6)


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
    found = [int(pairs[index]["source"][-1]) for index in range(len(pairs))]
    count = 6 if split == "train" else 5
    assert found == [made.tag_ids[tag] for tag in expected for _ in range(count)]


def test_sides_of_different_length(data: Path, tmp_path: Path) -> None:
    for side, count in (("src", 3), ("tgt", 2)):
        tiny.write_texts(tmp_path / "fr_XX" / f"train.src-tgt.{side}", [[5, 2]] * count)
    message = r"train\.src-tgt\.src has 3 texts but .*train\.src-tgt\.tgt has 2 \(language fr_XX\)"
    with pytest.raises(LaftError, match=message):
        task(tmp_path, train_langs="fr_XX").load_dataset("train")


@pytest.mark.parametrize("tags", [None, "fr_XX,en_XX"])
def test_raw_input_needs_one_language(data: Path, tags: str | None) -> None:
    with pytest.raises(LaftError, match="--gen-lang: name the one language"):
        task(data, gen_lang=tags).build_dataset_for_inference([torch.tensor([5, 2])], [2])


def test_raw_input_is_tagged_and_cut(data: Path) -> None:
    made = task(data, gen_lang="zh_CN", max_source_positions=4)
    texts = made.build_dataset_for_inference([torch.tensor([5, 6, 7, 8, 2])], [5])
    assert texts[0]["source"].tolist() == [5, 6, 2, made.tag_ids["zh_CN"]]


def talker(wanted: list[str]) -> Any:
    """A model whose output layer likes some entries more and more, and others not at all."""
    built = tiny.model(method="mbart_full")
    dislike = torch.full((len(tiny.dictionary()),), -5.0)
    for rank, entry in enumerate(wanted):
        dislike[tiny.dictionary().index(entry)] = float(rank)
    plain = built.decoder.output_layer
    built.decoder.output_layer = lambda features: plain(features) * 0 + dislike
    return built


def test_tags_and_marks_are_never_written(data: Path) -> None:
    """Though the model wants nothing else."""
    made = task(data)
    built = talker(["\u2581w1", "<mask>", "<s>", "<unk>", "[en_XX]", "[zh_CN]", "[fr_XX]"])
    generator = made.build_generator([built], BEAM)
    sample = {"net_input": {"src_tokens": tiny.rows(["\u2581w7 </s> [fr_XX]", "一 </s> [zh_CN]"]),
                            "src_lengths": torch.tensor([3, 3])}}  # fmt: skip
    for hypotheses in made.inference_step(generator, [built], sample):
        tokens = {token for hypothesis in hypotheses for token in hypothesis["tokens"].tolist()}
        assert not tokens & set(tiny.ids("<mask> <s> [en_XX] [fr_XX] [zh_CN]"))
        assert 3 not in tokens
        assert tiny.ids("\u2581w1")[0] in tokens


@pytest.mark.parametrize("rows", [7, 10])
def test_a_generator_leaves_training_alone(data: Path, rows: int) -> None:
    """fairseq's own lets cross-attention skip sources from then on, beside the search too."""
    made = task(data)
    built = tiny.model()
    tiny.scramble(built)
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


def test_output_ends_at_the_sentences_end(data: Path) -> None:
    """Not at the tag, which is never written: zero-shot runs would go on to the length limit."""
    made = task(data)
    built = talker(["\u2581w1", "</s>", "[fr_XX]"])
    generator = made.build_generator([built], BEAM)
    sample = {"net_input": {"src_tokens": tiny.rows(["\u2581w7 </s> [fr_XX]"]),
                            "src_lengths": torch.tensor([3])}}  # fmt: skip
    best = made.inference_step(generator, [built], sample)[0][0]["tokens"].tolist()
    assert best == [*tiny.ids("\u2581w1"), 2]  # fairseq wants a token at least


def test_the_decoder_begins_with_the_sources_tag(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, built = task(data), tiny.model()
    generator = made.build_generator([built], BEAM)
    seen = []
    plain = built.decoder.extract_features_scriptable
    monkeypatch.setattr(
        built.decoder, "extract_features_scriptable",
        lambda tokens, *rest: seen.append(tokens[:, 0].tolist()) or plain(tokens, *rest),
    )  # fmt: skip
    texts = ["\u2581w7 </s> [fr_XX]", "一 </s> [zh_CN]"]
    sample = {"net_input": {"src_tokens": tiny.rows(texts), "src_lengths": torch.tensor([3, 3])}}
    made.inference_step(generator, [built], sample)
    assert seen[0] == [made.tag_ids["fr_XX"]] * 3 + [made.tag_ids["zh_CN"]] * 3


def test_rouge_is_summed_by_language(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two French rows, one of them right, and a Chinese one that is half right."""
    made, built = task(data, eval_rouge=True), tiny.model(method="mbart_full")
    written = ["\u2581w7 \u2581w8 </s>", "\u2581w1 </s>", "一 四 </s>"]
    hypotheses = [[{"tokens": torch.tensor(tiny.ids(text))}] for text in written]
    monkeypatch.setattr(made, "inference_step", lambda *unused: hypotheses)
    made.validation_generator = None
    wanted = ["\u2581w7 \u2581w8 </s> [fr_XX]", "\u2581w9 </s> [fr_XX]", "一 二 </s> [zh_CN]"]
    sample = {"net_input": {"src_tokens": tiny.rows(wanted)},
              "target": tiny.rows(wanted, left=False)}  # fmt: skip
    assert made._rouge_sums(sample, built) == {
        "_rougeL_sum_en_XX": 0.0, "_rougeL_count_en_XX": 0.0,
        "_rougeL_sum_fr_XX": 100.0, "_rougeL_count_fr_XX": 2.0,
        "_rougeL_sum_zh_CN": 50.0, "_rougeL_count_zh_CN": 1.0,
    }  # fmt: skip


class Criterion:
    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, float]]) -> None:
        """Nothing of its own."""


def test_rouge_is_reported_for_each_language(data: Path) -> None:
    """From batches of one language each: 30 in two French texts, 5 in a Chinese one."""
    made = task(data, eval_rouge=True, valid_langs="fr_XX,zh_CN")
    common = {"ntokens": 1, "nsentences": 1}
    outputs = [
        {**common, "_rougeL_sum_fr_XX": 30.0, "_rougeL_count_fr_XX": 2.0,
         "_rougeL_sum_zh_CN": 0.0, "_rougeL_count_zh_CN": 0.0},
        {**common, "_rougeL_sum_fr_XX": 0.0, "_rougeL_count_fr_XX": 0.0,
         "_rougeL_sum_zh_CN": 5.0, "_rougeL_count_zh_CN": 1.0},
    ]  # fmt: skip
    with metrics.aggregate(new_root=True) as found:
        made.reduce_metrics(outputs, Criterion())
    values = found.get_smoothed_values()
    assert (values["rougeL_fr_XX"], values["rougeL_zh_CN"], values["rougeL"]) == (15.0, 5.0, 10.0)


class Sum:
    def __init__(self, value: float) -> None:
        self.sum = value


def test_mean_over_languages() -> None:
    meters = {"_rougeL_sum_fr_XX": Sum(30.0), "_rougeL_count_fr_XX": Sum(2.0),
              "_rougeL_sum_zh_CN": Sum(5.0), "_rougeL_count_zh_CN": Sum(1.0)}  # fmt: skip
    assert _MeanOf(("fr_XX",))(meters) == 15.0
    assert _MeanOf(("fr_XX", "zh_CN"))(meters) == 10.0
