"""Which subwords stay, and that what stays is segmented as before."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from laft_fairseq.backbone import subword_selection as selecting
from laft_fairseq.backbone.subword_selection import Selection, SubwordModel
from laft_fairseq.backbone.trimming import count_subwords
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.scripts import scripts
from laft_fairseq.languages.tags import MBART50

FIRST = {"<unk>": 2, "<s>": 3, "</s>": 3}
NORMAL, USER_DEFINED, UNUSED, CONTROL = 1, 4, 5, 3


def model(scores: Mapping[str, float], kind: int = 1, **types: int) -> SubwordModel:
    """A model that normalises nothing, of ordinary subwords but for those whose type is named."""
    proto = ModelProto()
    for name, number in FIRST.items():
        proto.pieces.add(piece=name, score=0, type=number)
    for name, score in scores.items():
        proto.pieces.add(piece=name, score=score, type=types.get(name, NORMAL))
    proto.trainer_spec.model_type = kind
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = False
    return SubwordModel(proto, [*FIRST, *scores])


def processor(model: SubwordModel, keep: Any = None) -> Any:
    """The processor of a model, whole or trimmed."""
    whole = np.ones(len(model.names), dtype=bool)
    proto = selecting.trimmed(model, whole if keep is None else keep)
    return sentencepiece.SentencePieceProcessor(model_proto=proto)


def kept(model: SubwordModel, selection: Selection) -> list[str]:
    pairs = zip(model.names, selection.keep, strict=True)
    return [name for name, keep in pairs if keep][len(FIRST) :]


def test_the_lowest_subword_prices_unknown_characters() -> None:
    """xa bc d scores -27; x unknown and abcd -30.5, but -19.5 once `low` is gone."""
    whole = model({"xa": -9, "bc": -9, "d": -9, "abcd": -0.5, "low": -20})
    selection = selecting.by_count(whole, count_subwords(processor(whole), ["xabcd"]))
    assert kept(whole, selection) == ["xa", "bc", "d", "abcd", "low"]  # highest and lowest too
    assert processor(whole, selection.keep).encode("xabcd", out_type=str) == ["xa", "bc", "d"]
    without = selection.keep & (np.array(whole.names) != "low")
    assert processor(whole, without).encode("xabcd", out_type=str) == ["x", "abcd"]


def test_segmentation_stays_on_random_models_with_many_ties() -> None:
    rng = np.random.default_rng(4)
    dropped = checked = 0
    for _ in range(60):
        names = {"".join(rng.choice(list("abc"), rng.integers(1, 5))) for _ in range(25)}
        whole = model({name: -float(rng.integers(1, 6)) for name in sorted(names)})
        texts = ["".join(rng.choice(list("abcx"), 12)) for _ in range(6)]
        selection = selecting.by_count(whole, count_subwords(processor(whole), texts))
        before = processor(whole)
        after = processor(whole, selection.keep)
        for text in texts:
            assert selection.new_ids[before.encode(text)].tolist() == after.encode(text), text
            checked += len(before.encode(text))
        dropped += int((~selection.keep).sum())
    assert dropped > 400
    assert checked > 1500


def test_what_is_kept_by_count() -> None:
    whole = model(
        {"top": -0.1, "<c>": 0, "#": 0, "ab": -2, "a": -3, "b": -3, "c": -3, "abc": -1.5,
         "gone": -4, "never": 0, "z": -9},
        **{"<c>": CONTROL, "#": USER_DEFINED, "never": UNUSED},
    )  # fmt: skip
    occurrences = count_subwords(processor(whole), ["abc", "abc", "ab"])
    assert kept(whole, selecting.by_count(whole, occurrences)) == [
        "top", "<c>", "#", "ab", "a", "b", "c", "abc", "z",
    ]  # fmt: skip
    rare = selecting.by_count(whole, occurrences, min_count=2)
    assert kept(whole, rare) == ["top", "<c>", "#", "a", "b", "c", "abc", "z"]
    most = selecting.by_count(whole, occurrences, most=len(FIRST) + 8)
    assert kept(whole, most) == ["top", "<c>", "#", "a", "b", "c", "abc", "z"]
    with pytest.raises(LaftError, match=r"--max-pieces 9: 10 have to be kept"):
        selecting.by_count(whole, occurrences, most=9)


def test_what_is_kept_by_script() -> None:
    names = "\u2581the é ß \u25812026 « 中文 か 한 \u2581дом 中a β 。".split()
    whole = model({name: -1.0 - number for number, name in enumerate(names)} | {"ω": -50.0})
    french = selecting.by_script(whole, ["en_XX", "fr_XX"])
    assert kept(whole, french) == ["\u2581the", "é", "ß", "\u25812026", "«", "。", "ω"]
    assert set(kept(whole, selecting.by_script(whole, ["zh_CN"]))) == {
        "\u2581the", "é", "ß", "\u25812026", "«", "中文", "中a", "。", "ω",
    }  # fmt: skip
    assert {"か", "中文"} <= set(kept(whole, selecting.by_script(whole, ["ja_XX"])))
    with pytest.raises(LaftError, match="language qq_XX: its script is not known here"):
        selecting.by_script(whole, ["qq_XX"])
    assert len(scripts(MBART50)) == 22  # 19 and Common, Inherited, Latin


def test_only_unigram_models(tmp_path: Path) -> None:
    bpe = model({"a": -1.0, "ab": -2.0}, kind=2)
    (tmp_path / "m").write_bytes(bpe.proto.SerializeToString())
    with pytest.raises(LaftError, match=r"/m: a BPE model: .* only UNIGRAM models"):
        selecting.read(tmp_path / "m")
