"""Subwords, languages, tag layout of Hugging Face directories; ids as its tokenizers give them."""

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
from tests import hf_folder

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
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
    """Sentencepiece's subwords, what fairseq-preprocess makes of them, and the tag."""
    work.mkdir(exist_ok=True)
    names = sentencepiece_dictionary.read_subwords(model)
    (work / "dict.txt").write_text(sentencepiece_dictionary.dictionary_text(names), "utf-8")
    dictionary: Dictionary = load_dictionary(work, tags)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    texts = [" ".join(subwords) for subwords in processor.encode(list(lines), out_type=str)]
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
        ids = ids_by_our_path(hf_folder.SENTENCEPIECE, lines, tmp_path, tags, tag, layout)
        assert ids == expected
        count += len(ids)
    assert count == 1000
    full = load_dictionary(tmp_path, tags)
    assert len(full) == theirs.vocab_size == ROWS[kind]
    assert full.index("<mask>") == theirs.mask_token_id == ROWS[kind] - 1


@pytest.mark.parametrize("kind", ["m2m", "nllb"])
def test_ids_of_m2m100_and_nllb(kind: str, tmp_path: Path) -> None:
    """Rows of the embedding, by the imported files, are the tokenizer's ids.

    Where M2M-100's reads a subword that it lacks as <unk>, the import has others for it.
    """
    theirs = hf_folder.write_tokenizer(tmp_path, kind)
    hf_folder.change(
        tmp_path / "config.json", model_type="m2m_100", vocab_size=hf_folder.ROWS[kind]
    )
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    found = hugging_face_vocabulary.read(tmp_path, config)
    (tmp_path / "imported.model").write_bytes(found.sentencepiece)
    tags = {"de_DE": "de_XX", "en_XX": "en_XX", "fr_XX": "fr_XX", "zh_CN": "zh_XX"}
    if kind == "nllb":
        tags = dict(zip(tags, ["deu_Latn", "eng_Latn", "fra_Latn", "zho_Hans"], strict=True))
    assert found.rows is not None and found.layout is TagLayout.PREFIX
    assert len(found.rows) == 4 + len(found.subwords) - 3 + len(found.tags) + 1
    count = unknown = 0
    for language, tag in tags.items():
        lines = real_text(language)
        theirs.src_lang = tag.removesuffix("_XX")
        expected = theirs(lines)["input_ids"]
        ids = ids_by_our_path(
            tmp_path / "imported.model", lines, tmp_path / "work", found.tags, tag, found.layout
        )
        for line, own in zip(ids, expected, strict=True):
            assert 3 not in line
            if 3 in own:
                unknown += 1
                assert len(line) > len(own)
            else:
                assert found.rows[line].tolist() == own
            count += 1
    assert count == 1000 and 0 < unknown < 200 if kind == "m2m" else not unknown
    mask = 3 if kind == "m2m" else theirs.mask_token_id
    assert found.rows[-1] == mask and found.tags[0] == ("af_XX" if kind == "m2m" else "ace_Arab")
    assert ("2 subwords without a row" in found.remark) == (kind == "m2m")


def test_vocabularies_of_m2m100_that_cannot_be_told(tmp_path: Path) -> None:
    """Languages that are others, another tokenizer, and NLLB's layout of before 2023."""
    hf_folder.write_tokenizer(tmp_path, "nllb").save_pretrained(tmp_path)
    rows = hf_folder.ROWS["nllb"]
    for changed, options, message in (
        ({}, (["fr_XX"],), r"names ace_Arab,.*, --langs fr_XX"),
        ({"vocab_size": rows - 10}, (), r"has 12,204 rows of the model's 12,196"),
    ):
        hf_folder.change(
            tmp_path / "config.json", **{"model_type": "m2m_100", "vocab_size": rows, **changed}
        )
        config = transformers.AutoConfig.from_pretrained(tmp_path)
        with pytest.raises(LaftError, match=message):
            hugging_face_vocabulary.read(tmp_path, config, *options)
    hf_folder.change(tmp_path / "config.json", vocab_size=rows)
    hf_folder.change(tmp_path / "tokenizer_config.json", legacy_behaviour=True)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    with pytest.raises(LaftError, match=r"legacy_behaviour.* say by --tag-layout"):
        hugging_face_vocabulary.read(tmp_path, config)
    assert hugging_face_vocabulary.read(tmp_path, config, [], "suffix").layout == "suffix"
    hf_folder.change(tmp_path / "tokenizer_config.json", legacy_behaviour=None)
    transformers.NllbTokenizer(
        str(hf_folder.SENTENCEPIECE), additional_special_tokens=["fra_Latn", "<answer>"]
    ).save_pretrained(tmp_path)
    found = hugging_face_vocabulary.read(tmp_path, config)
    assert found.tags == ["fra_Latn"] and "are left out (<answer>)" in found.remark
    tiny_vocabulary = tuple(sentencepiece_dictionary.read_subwords(hf_folder.SENTENCEPIECE)[9000:])
    hf_folder.write_tokenizer(tmp_path / "m2m", "m2m", tiny_vocabulary)
    with pytest.raises(LaftError, match=r"lacks 3,000 of 12,000 subwords"):
        hugging_face_vocabulary.read(tmp_path / "m2m", config)


def test_ids_of_unknown_characters(tmp_path: Path) -> None:
    """mBART's own model has no byte subwords: what it does not know is <unk>, 3."""
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


def vocabulary(folder: Path, rows: int, *options: Any) -> tuple[list[str], str]:
    """Languages and layout of a directory whose embedding has these rows; else LaftError."""
    hf_folder.change(folder / "config.json", model_type="mbart", vocab_size=rows)
    config = transformers.AutoConfig.from_pretrained(folder)
    found = hugging_face_vocabulary.read(folder, config, *options)
    assert found.subwords == sentencepiece_dictionary.read_subwords(hf_folder.SENTENCEPIECE)
    assert found.rows is None
    return found.tags, found.layout


@pytest.mark.parametrize("saved", ["bare", "", "Fast"])
@pytest.mark.parametrize("kind", LAYOUTS)
def test_both_mbarts(kind: str, saved: str, bare: Path) -> None:
    """With the sentencepiece model alone, and as the slow and the fast tokenizer are saved."""
    tags, layout, tokenizer = LAYOUTS[kind]
    if saved != "bare":
        made = getattr(transformers, tokenizer + saved)(str(hf_folder.SENTENCEPIECE))
        made.save_pretrained(bare)
    assert vocabulary(bare, ROWS[kind]) == (tags, layout)


def save_fast(folder: Path, tail: Sequence[str], subwords: Sequence[str] = ()) -> None:
    """Save a fast tokenizer of these entries after its subwords."""
    subwords = subwords or sentencepiece_dictionary.read_subwords(hf_folder.SENTENCEPIECE)[3:]
    entries = ["<s>", "<pad>", "</s>", "<unk>", *subwords, *tail]
    unigram = tokenizers.models.Unigram([(entry, 0.0) for entry in entries], unk_id=3)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(unigram), mask_token="<mask>"
    ).save_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "layout"), [("MBartTokenizer", "suffix"), ("MBart50TokenizerFast", "prefix")]
)
def test_other_languages_are_read_from_the_tokenizer(bare: Path, name: str, layout: str) -> None:
    """A trimmed model: three languages, in an order of their own."""
    save_fast(bare, ["fr_XX", "en_XX", "zh_CN", "<mask>"])
    hf_folder.change(bare / "tokenizer_config.json", tokenizer_class=name)
    assert vocabulary(bare, 12000 + 5) == (["fr_XX", "en_XX", "zh_CN"], layout)


def test_what_the_user_says(bare: Path) -> None:
    tags = ["fr_XX", "en_XX"]
    assert vocabulary(bare, 12000 + 4, tags, "prefix") == (tags, TagLayout.PREFIX)
    with pytest.raises(LaftError, match=r"--langs: .* has ar_AR,cs_CZ,.* in this order"):
        vocabulary(bare, ROWS["cc25"], tags)


@pytest.mark.parametrize("rows", [11_990, 12_002, ROWS["cc25"] + 1, ROWS["mbart50"] + 10])
def test_rows_that_do_not_add_up(bare: Path, rows: int) -> None:
    with pytest.raises(LaftError, match=rf"has {rows} rows; .* leave {rows - 12002} for languages"):
        vocabulary(bare, rows)


@pytest.mark.parametrize(
    ("names", "rows", "said"),
    [
        (["<ans>", "pl_PL"], 2, r"2 rows after <mask> were added, or pad it \(<ans>, pl_PL\)"),
        ([], 37, r"37 rows .* \(37 without a name\)"),
        (["<ans>"], 5, r"5 rows .* \(<ans> and 4 without a name\)"),
    ],
)
def test_rows_after_the_mask_are_named(names: list[str], rows: int, said: str, bare: Path) -> None:
    """And no --langs makes a language of the mask's row, with a tokenizer or without."""
    more = ["oc_XX", "br_XX", *(f"a{chr(97 + n)}_XX" for n in range(rows))][:rows]
    wrong = r"cannot be imported"
    with pytest.raises(LaftError, match=wrong):
        vocabulary(bare, ROWS["cc25"] + rows, [*CC25, *more], "suffix")
    save_fast(bare, [*CC25, "<mask>", *names])
    cut = rf"{said}.* cannot be imported: .*resize_token_embeddings\({ROWS['cc25']}\)"
    for langs in ([], CC25, [*CC25, *more]):
        with pytest.raises(LaftError, match=cut):
            vocabulary(bare, ROWS["cc25"] + rows, langs, "suffix")


def test_another_tokenizers_entries(bare: Path) -> None:
    """A language added after the mask; another sentencepiece model of the same size."""
    save_fast(bare, [*CC25, "<mask>", "pl_PL"])
    with pytest.raises(LaftError, match="after <mask> cannot be imported"):
        vocabulary(bare, ROWS["cc25"] + 1)
    subwords = sentencepiece_dictionary.read_subwords(bare / "sentencepiece.bpe.model")[3:]
    subwords[500], subwords[501] = subwords[501], subwords[500]
    save_fast(bare, [*CC25, "<mask>"], subwords)
    with pytest.raises(LaftError, match=r"sentencepiece\.bpe\.model: row 504 .* another model's"):
        vocabulary(bare, ROWS["cc25"])


def test_layouts_that_disagree_or_are_not_told(bare: Path) -> None:
    save_fast(bare, [*CC25, "<mask>"])
    assert vocabulary(bare, ROWS["cc25"]) == (CC25, TagLayout.SUFFIX)
    hf_folder.change(bare / "tokenizer_config.json", tokenizer_class="MBart50TokenizerFast")
    with pytest.raises(LaftError, match=r"25 languages tell prefix and suffix; .* --tag-layout"):
        vocabulary(bare, ROWS["cc25"])
    save_fast(bare, ["en_XX", "<mask>"])
    with pytest.raises(LaftError, match=r"1 languages tell no tag layout; .* --tag-layout"):
        vocabulary(bare, 12000 + 3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sentencepiece.bpe.model", "version https://git-lfs.github.com/spec/v1\n"),
        ("sentencepiece.bpe.model", None),
        ("tokenizer.json", "{"),
        ("tokenizer.json", '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}'),
        ("tokenizer_config.json", "{"),
    ],
)
def test_files_that_are_missing_or_of_another_kind(
    bare: Path, name: str, content: str | None
) -> None:
    (bare / name).unlink(missing_ok=True)
    if content is not None:
        (bare / name).write_text(content)
    with pytest.raises(LaftError) as caught:
        vocabulary(bare, ROWS["cc25"])
    assert str(caught.value).startswith(str(bare)) and "\n" not in str(caught.value)
