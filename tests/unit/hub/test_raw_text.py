"""Raw text to ids as binarize.sh makes them, and back; where the files are looked for."""

from argparse import Namespace
from pathlib import Path

import pytest
import torch
from fairseq.binarizer import BinarizeSummary, VocabularyDatasetBinarizer

from laft_fairseq.checkpoints.record import open_checkpoint
from laft_fairseq.errors import LaftError
from laft_fairseq.hub.raw_text import SubwordTokenizer, find_file, folders
from laft_fairseq.languages.dictionary import dictionary_tags, load_dictionary
from laft_fairseq.languages.vocabulary_files import DICTIONARY, SENTENCEPIECE
from preprocess.binarize import encoding
from tests import tiny, tiny_text
from tests.conftest import REPOSITORY

MINI = REPOSITORY / "examples" / "mini" / "model"
AWKWARD = [
    "Gère les paquets de l’utilisateur, façon « simple ».",
    "ＦＵＬＬ　ｗｉｄｔｈ and ½, ﬁne",
    "漢字と仮名 𓀀 🙂",
    "a  b\tc\u00a0d\u2028e\x85f\x1cg",
    "one\rtwo \r",
    "<s> </s> <unk> <mask> [fr_XX] <0xE4>",
    "\u200b",
    "   ",
    "",
    "e\u0301tude",
]


@pytest.fixture(scope="module")
def pieces() -> SubwordTokenizer:
    dictionary = load_dictionary(MINI, dictionary_tags(MINI))
    return SubwordTokenizer(MINI / "sentence.bpe.model", dictionary)


def test_ids_are_those_of_binarize(pieces: SubwordTokenizer, tmp_path: Path) -> None:
    """Its two halves: the file of subwords, then what fairseq-preprocess does to a line."""
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(MINI / "sentence.bpe.model"))
    encoding.encode(model, iter(AWKWARD), tmp_path / "pieces", 1)
    lines = (tmp_path / "pieces").read_bytes().decode("utf-8").split("\n")[:-1]
    binarizer = VocabularyDatasetBinarizer(pieces.dictionary, append_eos=True)
    expected = [binarizer.binarize_line(line, BinarizeSummary()).tolist() for line in lines]
    assert [pieces.encode(text).tolist() for text in AWKWARD] == expected
    assert [len(ids) for ids in expected].count(1) == 3  # three texts of nothing


def test_text_comes_back_normalised(pieces: SubwordTokenizer) -> None:
    def back(text: str) -> str:
        return pieces.decode(pieces.encode(text), set())

    assert back(AWKWARD[0]) == AWKWARD[0]
    assert back("漢字 🙂 𓀀") == "漢字 🙂 𓀀"  # in bytes where there is no piece
    assert back("ｅ́ ﬁne") == "é fine"
    assert pieces.decode(torch.tensor([2]), set()) == ""


def test_an_output_is_one_line(pieces: SubwordTokenizer) -> None:
    """Byte fallback may write line ends and tabs."""
    marks = [pieces.dictionary.index(entry) for entry in ("▁a", "<0x0A>", "<0x09>", "▁b", "<0x0D>")]
    assert 3 not in marks
    assert pieces.decode(torch.tensor([*marks, 2]), set()).split() == ["a", "b"]
    assert not set("\n\t\r") & set(pieces.decode(torch.tensor([*marks, 2]), set()))


def test_another_dictionary_is_refused(tmp_path: Path) -> None:
    fitting = tiny_text.write_sentencepiece(tmp_path / "sentence.bpe.model")
    assert SubwordTokenizer(fitting, tiny.dictionary()).encode("w1c1").tolist() == tiny.ids(
        "▁w1 c1 </s>"
    )
    with pytest.raises(LaftError, match=r"its subword 3 is .* but the dictionary has '▁w0'"):
        SubwordTokenizer(MINI / "sentence.bpe.model", tiny.dictionary())
    longer = tiny.pieces_dictionary()
    for entry in ("more", "[en_XX]", "<mask>"):
        longer.add_symbol(entry)
    with pytest.raises(LaftError, match=r"ends with subword 37, .* goes on with 'more'"):
        SubwordTokenizer(fitting, longer)


def test_files_are_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--data, beside the checkpoint, beside the backbone, the data-bin trained on."""
    monkeypatch.delenv("LAFT_BACKBONE", raising=False)
    for name in ("given", "runs", "mbart", "data-bin"):
        (tmp_path / name).mkdir()
    cfg = {"task": {"data": str(tmp_path / "data-bin")}}
    torch.save({"cfg": cfg, "model": {}}, tmp_path / "runs" / "c.pt")
    checkpoint, backbone = str(tmp_path / "runs" / "c.pt"), str(tmp_path / "mbart" / "model.pt")
    places = folders(open_checkpoint(checkpoint), str(tmp_path / "given"), backbone)
    assert [folder.name for folder in places] == ["given", "runs", "mbart", "data-bin"]
    args = Namespace(data=str(tmp_path / "mbart"))
    torch.save({"args": args, "model": {}}, tmp_path / "runs" / "old.pt")
    places = folders(open_checkpoint(str(tmp_path / "runs" / "old.pt")), None, None)
    assert [folder.name for folder in places] == ["runs", "mbart"]

    with pytest.raises(LaftError, match=r"c\.pt: no dict\.txt in .*/runs, .*; --data names"):
        find_file(DICTIONARY, places, checkpoint)
    with pytest.raises(LaftError, match=r"c\.pt: no sentence\.bpe\.model in .*--sentencepiece-mod"):
        find_file(SENTENCEPIECE, places, checkpoint)
    for name in (DICTIONARY, SENTENCEPIECE):
        (tmp_path / "mbart" / name).touch()
        assert find_file(name, places, checkpoint) == tmp_path / "mbart" / name
