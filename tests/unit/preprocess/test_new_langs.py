"""`binarize.sh --new-langs`: the half before `fairseq-preprocess`, in this process."""

import importlib
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import sentencepiece


@pytest.fixture(scope="module")
def encode(repository: Path) -> ModuleType:
    """`preprocess/encode.py`, which imports its neighbours by their bare names."""
    folder = str(repository / "preprocess")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("encode")
    finally:
        sys.path.remove(folder)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two languages, the letters a to e, and no bytes: what is foreign is `<unk>`."""
    folder = tmp_path_factory.mktemp("backbone")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e", "ab cd", "de ba"] * 20), vocab_size=12,
        model_prefix=str(folder / "sentence.bpe"), minloglevel=2, num_threads=1,
        hard_vocab_limit=False,
    )  # fmt: skip
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentence.bpe.model"))
    pieces = [model.id_to_piece(i) for i in range(3, model.get_piece_size())]
    (folder / "dict.txt").write_text("".join(f"{piece} 1\n" for piece in pieces))
    (folder / "langs.txt").write_text("en_XX\nfr_XX\n")
    return folder


def binarize(encode: ModuleType, backbone: Path, home: Path, text: str, *flags: str) -> int:
    """Prepare one split of a text; the exit state."""
    (home / "text").write_text(f"{text}\n", encoding="utf-8")
    shutil.rmtree(home / "work", ignore_errors=True)
    given = ["--backbone", str(backbone), "--out", str(home / "data-bin"), *flags]
    files = ["--train", str(home / "text"), "--work", str(home / "work")]
    return int(encode.main(["mono", *given, *files]))


def listed(home: Path) -> str:
    """What the folder says, in a line."""
    return " ".join((home / "data-bin" / "new-langs.txt").read_text().split())


def test_the_list_is_kept_and_may_grow(
    encode: ModuleType, backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for tag, flags in [
        ("eo_XX", ("--new-langs", "eo_XX")),
        ("eo_XX", ()),
        ("sw_KE", ("--new-langs", "eo_XX,sw_KE")),
        ("en_XX", ("--new-langs", "eo_XX")),
    ]:
        assert binarize(encode, backbone, tmp_path, "a b c d", "--lang", tag, *flags) == 0
        assert listed(tmp_path) == ("eo_XX" if tag == "eo_XX" else "eo_XX sw_KE")
    said = capsys.readouterr().out
    assert said.count("eo_XX train: 0.0 % of 4 characters are <unk>, 0.0 % of 5 pieces") == 2
    assert "en_XX train:" not in said
    assert (tmp_path / "data-bin" / "langs.txt").read_text() == "en_XX\nfr_XX\n"
    assert binarize(encode, backbone, tmp_path, "a", "--lang", "eo_XX", "--new-langs", "sw_KE")
    assert "new-langs.txt says eo_XX,sw_KE, --new-langs sw_KE" in capsys.readouterr().err
    assert listed(tmp_path) == "eo_XX sw_KE"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--lang eo_XX", "one that the backbone never saw is named by --new-langs"),
        ("--lang eo_XX --new-langs sw_KE", "eo_XX is not a language of"),
        ("--lang eo_XX --new-langs fr_XX,eo_XX", "--new-langs: fr_XX is a language of"),
        ("--lang eo_XX --new-langs eo_XX,eo_XX", "--new-langs: eo_XX is listed twice"),
    ],
)
def test_what_is_refused(
    encode: ModuleType, backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    flags: str, message: str,
) -> None:  # fmt: skip
    assert binarize(encode, backbone, tmp_path, "a", *flags.split()) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "data-bin").exists()


def test_a_script_that_the_pieces_do_not_cover(
    encode: ModuleType, backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fifth of the characters unknown: a warning; three fifths: refused, nothing written."""
    flags = ("--lang", "eo_XX", "--new-langs", "eo_XX")
    assert binarize(encode, backbone, tmp_path, "жж a ж b", *flags) == 1
    said = capsys.readouterr().err
    assert "60.0 % of 5 characters are <unk>; the sentencepiece model lacks this script" in said
    assert not (tmp_path / "data-bin").exists()
    assert binarize(encode, backbone, tmp_path, "a b c aж", *flags) == 0
    said = capsys.readouterr().out
    assert "binarize: warning: eo_XX train: 20.0 % of 5 characters are <unk>" in said


def test_without_langs_txt_the_languages_are_cc25s(
    encode: ModuleType, backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scripts know them without torch; the package's list is the same."""
    from laft_fairseq.languages.tags import CC25

    bare = Path(shutil.copytree(backbone, tmp_path / "bare"))
    (bare / "langs.txt").unlink()
    assert sys.modules["vocabulary"].CC25 == CC25
    assert binarize(encode, bare, tmp_path, "ab cd", "--lang", "vi_VN") == 0
    assert "no langs.txt beside the dictionary; mBART-cc25's languages" in capsys.readouterr().out
    assert binarize(encode, bare, tmp_path, "ab cd", "--lang", "oc_XX") == 1
    assert "oc_XX is not a language of mBART-cc25 (the backbone" in capsys.readouterr().err
    flags = ("--lang", "vi_VN", "--new-langs", "vi_VN")
    assert binarize(encode, bare, tmp_path, "ab cd", *flags) == 1
    assert "--new-langs: vi_VN is a language of mBART-cc25" in capsys.readouterr().err
