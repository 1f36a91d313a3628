"""Pieces, languages and tag layout of Hugging Face directories; ids as its tokenizers give them."""

import lzma
import re
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from fairseq.data import Dictionary

from laft_fairseq.backbone import hugging_face_vocabulary
from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from laft_fairseq.languages.dictionary import load_dictionary
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.tags import CC25, MBART50, symbol
from preprocess.binarize import encoding
from tests import hf_folder

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.integration

DATA = hf_folder.REPOSITORY / "examples" / "ddtp" / "data"
GERMAN = DATA / "sentences.de_DE.tsv.xz"
EACH = 250
SENTENCE_END = re.compile(r"(?<=[.。!?])(?=\s|[^\x00-\x7f])|(?<=。)")
LAYOUTS = {
    "cc25": (CC25, TagLayout.SUFFIX, "MBartTokenizer"),
    "mbart50": (MBART50, TagLayout.PREFIX, "MBart50Tokenizer"),
}
ROWS = hf_folder.ROWS


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A directory with the sentencepiece model alone, as facebook/mbart-large-cc25's."""
    shutil.copyfile(hf_folder.SENTENCEPIECE, tmp_path / "sentencepiece.bpe.model")
    return tmp_path


def real_text(tag: str) -> list[str]:
    path = GERMAN if tag == "de_DE" else DATA / f"mono.{tag}.txt.xz"
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        texts = [line.rstrip("\n").split("\t")[-1] for line in islice(lines, EACH)]
    return [SENTENCE_END.split(text)[0] for text in texts]


def ids_by_our_path(
    model: Path, lines: Sequence[str], work: Path, tags: Sequence[str], tag: str, layout: TagLayout
) -> list[list[int]]:
    """binarize.sh's encoding, what fairseq-preprocess makes of it, and the tag."""
    work.mkdir(exist_ok=True)
    sentencepiece_dictionary.write_dictionary(model, work / "dict.txt")
    dictionary: Dictionary = load_dictionary(work, tags)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    encoding.encode(processor, iter(lines), work / "text", 1)
    texts = (work / "text").read_text(encoding="utf-8").split("\n")[:-1]
    encoded = [dictionary.encode_line(text, add_if_not_exist=False).long() for text in texts]
    return [layout.tagged(text, dictionary.index(symbol(tag))).tolist() for text in encoded]


@pytest.mark.parametrize("kind", LAYOUTS)
def test_ids_of_1000_sentences_are_those_of_its_tokenizer(kind: str, tmp_path: Path) -> None:
    tags, layout, tokenizer = LAYOUTS[kind]
    theirs = getattr(transformers, tokenizer)(str(hf_folder.SENTENCEPIECE))
    count = 0
    for tag in ("de_DE", "en_XX", "fr_XX", "zh_CN"):
        lines = real_text(tag)
        theirs.src_lang = tag
        expected = theirs(lines)["input_ids"]
        found = ids_by_our_path(hf_folder.SENTENCEPIECE, lines, tmp_path, tags, tag, layout)
        assert found == expected
        count += len(found)
    assert count == 1000
    full = load_dictionary(tmp_path, tags)
    assert len(full) == theirs.vocab_size == ROWS[kind]
    assert full.index("<mask>") == theirs.mask_token_id == ROWS[kind] - 1


def test_ids_of_unknown_characters(tmp_path: Path) -> None:
    """mBART's own model has no byte pieces: what it does not know is <unk>, 3."""
    with (tmp_path / "small.model").open("wb") as writer:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(real_text("en_XX")), model_writer=writer, vocab_size=300,
            character_coverage=0.99, minloglevel=2, unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        )  # fmt: skip
    theirs = transformers.MBartTokenizer(str(tmp_path / "small.model"), src_lang="zh_CN")
    lines = ["Debian 系统 und Größe", *real_text("zh_CN")[:20]]
    expected = theirs(lines)["input_ids"]
    assert ids_by_our_path(tmp_path / "small.model", lines, tmp_path / "work", CC25, "zh_CN",
                           TagLayout.SUFFIX) == expected  # fmt: skip
    assert 3 in expected[0]


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_directory_without_tokenizer_files(kind: str, bare: Path) -> None:
    found = hugging_face_vocabulary.read(bare, ROWS[kind])
    assert (found.tags, found.layout) == LAYOUTS[kind][:2]
    assert len(found.pieces) == hf_folder.PIECES


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_directory_that_the_tokenizer_saved(kind: str, bare: Path) -> None:
    """The files number their entries: 12001 ar_AR ... and <mask> last."""
    tags, layout, tokenizer = LAYOUTS[kind]
    getattr(transformers, tokenizer)(str(hf_folder.SENTENCEPIECE)).save_pretrained(bare)
    entries = hugging_face_vocabulary.numbered_entries(
        bare, hugging_face_vocabulary.optional(bare / "tokenizer_config.json")
    )
    assert (entries[12001], entries[ROWS[kind] - 1]) == ("ar_AR", "<mask>")
    found = hugging_face_vocabulary.read(bare, ROWS[kind])
    assert (found.tags, found.layout) == (tags, layout)


def as_fast(folder: Path, tail: Sequence[str], pieces: Sequence[str] = ()) -> None:
    """tokenizer.json as the fast tokenizers write it, without what is not read of it."""
    pieces = pieces or sentencepiece_dictionary.pieces(folder / "sentencepiece.bpe.model")[3:]
    entries = ["<s>", "<pad>", "</s>", "<unk>", *pieces, *tail]
    added = [{"id": len(entries) - 1, "content": entries[-1], "special": True}]
    model = {"type": "Unigram", "vocab": [[entry, 0.0] for entry in entries]}
    hf_folder.change(folder / "tokenizer.json", added_tokens=added, model=model)


def test_other_languages_are_read_where_they_are_numbered(bare: Path) -> None:
    """A trimmed model: three languages, in an order of their own."""
    as_fast(bare, ["fr_XX", "en_XX", "zh_CN", "<mask>"])
    hf_folder.change(bare / "tokenizer_config.json", tokenizer_class="MBart50TokenizerFast")
    found = hugging_face_vocabulary.read(bare, 12000 + 5)
    assert (found.tags, found.layout) == (["fr_XX", "en_XX", "zh_CN"], TagLayout.PREFIX)


def test_other_languages_are_read_where_they_are_listed(bare: Path) -> None:
    listed = [{"content": "fr_XX", "lstrip": False}, "en_XX", "<sep>"]
    hf_folder.change(bare / "special_tokens_map.json", additional_special_tokens=listed)
    found = hugging_face_vocabulary.read(bare, 12000 + 4, "MBartTokenizer")
    assert (found.tags, found.layout) == (["fr_XX", "en_XX"], TagLayout.SUFFIX)


def test_what_the_user_says(bare: Path) -> None:
    found = hugging_face_vocabulary.read(bare, 12000 + 4, None, ["fr_XX", "en_XX"], "prefix")
    assert (found.tags, found.layout) == (["fr_XX", "en_XX"], TagLayout.PREFIX)
    with pytest.raises(LaftError, match=r"--langs: .* has ar_AR,cs_CZ,.* in this order"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"], None, ["fr_XX", "en_XX"])


@pytest.mark.parametrize("rows", [11_990, 12_002, ROWS["cc25"] + 1, ROWS["mbart50"] + 10])
def test_rows_that_do_not_add_up(bare: Path, rows: int) -> None:
    message = rf"has {rows} rows; 12000 pieces .* leave {rows - 12002} for languages"
    with pytest.raises(LaftError, match=message):
        hugging_face_vocabulary.read(bare, rows)


def test_a_language_added_after_the_mask(bare: Path) -> None:
    """Listed beside cc25's, it would stand in <mask>'s row."""
    hf_folder.change(bare / "tokenizer_config.json", additional_special_tokens=[*CC25, "pl_PL"])
    with pytest.raises(LaftError, match="rows; 12000 pieces"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"] + 1)
    as_fast(bare, [*CC25, "<mask>", "pl_PL"])
    with pytest.raises(LaftError, match="not languages and then <mask>"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"] + 1)


def test_another_sentencepiece_of_the_same_size(bare: Path) -> None:
    pieces = sentencepiece_dictionary.pieces(bare / "sentencepiece.bpe.model")[3:]
    pieces[500], pieces[501] = pieces[501], pieces[500]
    as_fast(bare, [*CC25, "<mask>"], pieces)
    with pytest.raises(LaftError, match=r"its piece 503 is .* this is another model's"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"])


def test_layouts_that_disagree_or_are_not_told(bare: Path) -> None:
    with pytest.raises(LaftError, match=r"25 languages .* suffix, its MBart50Tokenizer .* prefix"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"], "MBart50Tokenizer")
    with pytest.raises(LaftError, match=r"neither its 2 languages .* --tag-layout"):
        hugging_face_vocabulary.read(bare, 12000 + 4, None, ["fr_XX", "en_XX"])


def test_files_that_are_missing_or_not_fetched(bare: Path, tmp_path: Path) -> None:
    model = bare / "sentencepiece.bpe.model"
    model.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(LaftError, match=r"sentencepiece\.bpe\.model: a Git LFS pointer"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"])
    model.write_bytes(b"no model")
    with pytest.raises(LaftError, match=r"sentencepiece\.bpe\.model: not a sentencepiece model"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"])
    model.unlink()
    with pytest.raises(LaftError, match=r"sentencepiece\.bpe\.model: no such sentencepiece model"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"])
    (bare / "tokenizer.json").write_text("{}")
    with pytest.raises(LaftError, match=r"tokenizer\.json alone is not enough"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"])


def test_a_tokenizer_of_another_kind(bare: Path) -> None:
    """A BPE vocabulary is a table, not a list."""
    vocabulary: dict[str, Any] = {"type": "BPE", "vocab": {"a": 0, "b": 1}}
    hf_folder.change(bare / "tokenizer.json", model=vocabulary)
    with pytest.raises(LaftError, match=r"tokenizer\.json or tokenizer_config\.json is not mBART"):
        hugging_face_vocabulary.read(bare, ROWS["cc25"])
