from pathlib import Path

import pytest
import sentencepiece
from fairseq.data import Dictionary
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from tests import hf_folder

MODEL = hf_folder.SENTENCEPIECE


def with_subword(path: Path, name: str) -> Path:
    """The shipped model and one more subword of this name."""
    proto = ModelProto.FromString(MODEL.read_bytes())
    proto.pieces.add(piece=name, score=0)
    path.write_bytes(proto.SerializeToString())
    return path


def test_the_shipped_dictionary(tmp_path: Path) -> None:
    """11,997 lines; fairseq's id of each subword is sentencepiece's + 1."""
    assert sentencepiece_dictionary.write_dictionary(MODEL, tmp_path / "dict.txt") == 11_997
    assert (tmp_path / "dict.txt").read_bytes() == (MODEL.parent / "dict.txt").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["dict.txt"]
    subwords = sentencepiece_dictionary.pieces(MODEL)
    dictionary = Dictionary.load(str(tmp_path / "dict.txt"))
    assert [dictionary.index(subwords[n]) for n in (3, 500, 11_999)] == [4, 501, 12_000]


@pytest.mark.parametrize("name", ["<pad>", "a\nb", "a\r"])
def test_subwords_that_no_dictionary_can_hold(tmp_path: Path, name: str) -> None:
    model = with_subword(tmp_path / "m.model", name)
    with pytest.raises(LaftError, match=r"m\.model: subword 12000 is .*, which dict\.txt cannot"):
        sentencepiece_dictionary.pieces(model)


def test_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "m.model").write_text("nothing")
    with pytest.raises(LaftError, match=r"m\.model: not a sentencepiece model"):
        sentencepiece_dictionary.pieces(tmp_path / "m.model")
    with pytest.raises(LaftError, match=r"absent: no such sentencepiece model"):
        sentencepiece_dictionary.pieces(tmp_path / "absent")


def test_a_model_with_other_first_ids(tmp_path: Path) -> None:
    with (tmp_path / "m.model").open("wb") as writer:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e f", "b c d a e f"]), model_writer=writer,
            vocab_size=12, minloglevel=2, pad_id=0, unk_id=1, bos_id=2, eos_id=3,
            hard_vocab_limit=False,
        )  # fmt: skip
    with pytest.raises(LaftError, match=r"ids 0 to 2 are <pad> <unk> <s>, not <unk> <s> </s>"):
        sentencepiece_dictionary.pieces(tmp_path / "m.model")
