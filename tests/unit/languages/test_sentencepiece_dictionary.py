from pathlib import Path

import pytest
import sentencepiece
from fairseq.data import Dictionary
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from tests import hf_folder

MODEL = hf_folder.SENTENCEPIECE


def test_the_shipped_dictionary() -> None:
    """11,997 lines; fairseq's id of each subword is sentencepiece's + 1."""
    subwords = sentencepiece_dictionary.read_subwords(MODEL)
    text = sentencepiece_dictionary.dictionary_text(subwords)
    assert (MODEL.parent / "dict.txt").read_bytes() == text.encode()
    dictionary = Dictionary.load(str(MODEL.parent / "dict.txt"))
    assert [dictionary.index(subwords[n]) for n in (3, 500, 11_999)] == [4, 501, 12_000]


@pytest.mark.parametrize("name", ["<pad>", "a\nb", "a\r"])
def test_subwords_that_no_dictionary_can_hold(tmp_path: Path, name: str) -> None:
    proto = ModelProto.FromString(MODEL.read_bytes())
    proto.pieces.add(piece=name, score=0)
    (tmp_path / "m.model").write_bytes(proto.SerializeToString())
    with pytest.raises(LaftError, match=r"m\.model: subword 12000 "):
        sentencepiece_dictionary.read_subwords(tmp_path / "m.model")


def test_other_models(tmp_path: Path) -> None:
    """One with other first ids, a file that is none, a file that is not there."""
    model = tmp_path / "m.model"
    with model.open("wb") as writer:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e f", "b c d a e f"]), model_writer=writer,
            vocab_size=12, minloglevel=2, pad_id=0, unk_id=1, bos_id=2, eos_id=3,
            hard_vocab_limit=False,
        )  # fmt: skip
    for change in (None, lambda: model.write_text("nothing"), model.unlink):
        if change is not None:
            change()
        with pytest.raises(LaftError, match=r"m\.model: "):
            sentencepiece_dictionary.read_subwords(model)
