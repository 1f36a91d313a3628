from pathlib import Path

import pytest
import sentencepiece
from fairseq.data import Dictionary

from benchmarks import random_mbart
from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from tests import hf_folder

MODEL = hf_folder.SENTENCEPIECE


def with_piece(path: Path, name: str) -> Path:
    """The shipped model and one more piece of this name."""
    added = random_mbart.bytes_field(1, name.encode()) + bytes([2 << 3 | 5, 0, 0, 0, 0])
    path.write_bytes(MODEL.read_bytes() + random_mbart.bytes_field(1, added))
    return path


def test_the_shipped_dictionary(tmp_path: Path) -> None:
    """11,997 lines; fairseq's id of each piece is sentencepiece's + 1."""
    assert sentencepiece_dictionary.write_dictionary(MODEL, tmp_path / "dict.txt") == 11_997
    assert (tmp_path / "dict.txt").read_bytes() == (MODEL.parent / "dict.txt").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["dict.txt"]
    pieces = sentencepiece_dictionary.pieces(MODEL)
    dictionary = Dictionary.load(str(tmp_path / "dict.txt"))
    assert [dictionary.index(pieces[n]) for n in (3, 500, 11_999)] == [4, 501, 12_000]


@pytest.mark.parametrize("name", ["<pad>", "a\nb", "a\r"])
def test_pieces_that_no_dictionary_can_hold(tmp_path: Path, name: str) -> None:
    model = with_piece(tmp_path / "m.model", name)
    with pytest.raises(LaftError, match=r"m\.model: piece 12000 is .*, which dict\.txt cannot"):
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


def test_a_model_filled_up_for_the_benchmark_segments_as_before(tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(random_mbart.padded_sentencepiece(12_300))
    names = sentencepiece_dictionary.pieces(tmp_path / "m.model")
    assert (len(names), names[12_000], names[-1]) == (12_300, "<unused12000>", "<unused12299>")
    text = "A library <unused12000> to read 文件 and écrire."
    before, after = (
        sentencepiece.SentencePieceProcessor(model_file=str(path)).encode(text)
        for path in (MODEL, tmp_path / "m.model")
    )
    assert before == after
