"""`binarize.sh --new-langs`, in this process and without `fairseq-preprocess`."""

from pathlib import Path
from shutil import copytree

import pytest
import sentencepiece

from laft_fairseq.cli import main
from laft_fairseq.errors import LaftError
from laft_fairseq.files import OPENERS, locked
from preprocess.binarize import __main__ as command
from preprocess.common.command import run_command
from preprocess.translate.lines import lines_to_send

MINI = Path(__file__).parents[3] / "examples" / "mini" / "model"


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
    subwords = [model.id_to_piece(i) for i in range(3, model.get_piece_size())]
    (folder / "dict.txt").write_text("".join(f"{subword} 1\n" for subword in subwords))
    (folder / "langs.txt").write_text("en_XX\nfr_XX\n")
    return folder


@pytest.fixture(autouse=True)
def without_fairseq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "preprocess", lambda *_: None)
    monkeypatch.setattr(command, "install", lambda *_: None)


def binarize(backbone: Path, home: Path, text: str, *flags: str) -> int:
    """Encode one split of a text; the exit status."""
    (home / "text").write_text(f"{text}\n", encoding="utf-8")
    given = ["--backbone", str(backbone), "--out", str(home / "data-bin"), *flags]
    options = command.parser().parse_args(["mono", *given, "--train", str(home / "text")])
    return run_command("binarize", lambda: command.main(options))


def listed(home: Path) -> str:
    """The new languages that the folder lists."""
    return " ".join((home / "data-bin" / "new-langs.txt").read_text().split())


def test_the_list_is_kept_and_may_grow(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for tag, flags in [
        ("eo_XX", ("--new-langs", "eo_XX")),
        ("eo_XX", ()),
        ("sw_KE", ("--new-langs", "eo_XX,sw_KE")),
        ("en_XX", ("--new-langs", "eo_XX")),
    ]:
        assert binarize(backbone, tmp_path, "a b c d", "--lang", tag, *flags) == 0
        assert listed(tmp_path) == ("eo_XX" if tag == "eo_XX" else "eo_XX sw_KE")
    assert capsys.readouterr().out.count("eo_XX train: 0.0 % of 4 characters are <unk>") == 2
    assert (tmp_path / "data-bin" / "langs.txt").read_text() == "en_XX\nfr_XX\n"
    for flags in (("--new-langs", "sw_KE"), ("--new-langs", "sw_KE,eo_XX"), ()):
        assert binarize(backbone, tmp_path, "a b", "--lang", "eo_XX", *flags) == 0
        assert listed(tmp_path) == "eo_XX sw_KE"


@pytest.mark.parametrize(
    ("text", "flags", "named"),
    [
        ("a", "--lang eo_XX", "eo_XX"),
        ("a", "--lang eo_XX --new-langs sw_KE", "eo_XX"),
        ("a", "--lang eo_XX --new-langs fr_XX,eo_XX", "fr_XX"),
        ("a", "--lang eo_XX --new-langs eo_XX,eo_XX", "eo_XX"),
        ("жж a ж b", "--lang eo_XX --new-langs eo_XX", "60.0 % of 5 characters are <unk>"),
    ],
)
def test_what_is_refused(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, flags: str,
    named: str,
) -> None:  # fmt: skip
    assert binarize(backbone, tmp_path, text, *flags.split()) == 1
    message = capsys.readouterr().err
    assert named in message and message.count("\n") == 1
    assert not (tmp_path / "data-bin").exists()


def test_a_script_that_the_subwords_hardly_cover(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fifth of the characters unknown: a warning."""
    flags = ("--lang", "eo_XX", "--new-langs", "eo_XX")
    assert binarize(backbone, tmp_path, "a b c aж", *flags) == 0
    assert "warning: eo_XX train: 20.0 % of 5 characters" in capsys.readouterr().out


def test_without_langs_txt_the_languages_are_cc25s(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = Path(copytree(backbone, tmp_path / "bare"))
    (bare / "langs.txt").unlink()
    assert binarize(bare, tmp_path, "ab cd", "--lang", "vi_VN") == 0
    assert binarize(bare, tmp_path, "ab cd", "--lang", "oc_XX") == 1
    flags = ("--lang", "vi_VN", "--new-langs", "vi_VN")
    assert binarize(bare, tmp_path, "ab cd", *flags) == 1
    assert capsys.readouterr().err.count("mBART-cc25") == 2


def test_a_script_written_in_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the shipped backbone: Russian, of which 89 % of the subwords are bytes."""
    text = "Сегодня хорошая погода в Москве, и завтра тоже"
    assert binarize(MINI, tmp_path, text, "--lang", "fr_XX") == 1
    assert "language fr_XX: 89 % of 85 subwords are bytes" in capsys.readouterr().err
    monkeypatch.setenv("LAFT_ALLOW_BYTES", "1")
    assert binarize(MINI, tmp_path, text, "--lang", "fr_XX") == 0
    said = capsys.readouterr().err
    assert "warning: " in said and "89 % of 85" in said and "1 unlabelled texts are few" in said


def test_two_runs_at_once(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One split of a language is one run's; what another adds to the list stays on it."""
    out = tmp_path / "data-bin"
    with locked(out / "fr_XX" / ".train.mono.lock", "test"):
        assert binarize(backbone, tmp_path, "a b", "--lang", "fr_XX") == 1
    assert "fr_XX train mono: another run is working there" in capsys.readouterr().err

    def meanwhile(*_: object) -> None:
        (out / "new-langs.txt").write_text("oc_XX\n")

    monkeypatch.setattr(command, "preprocess", meanwhile)
    assert binarize(backbone, tmp_path, "a b", "--lang", "eo_XX", "--new-langs", "eo_XX") == 0
    assert listed(tmp_path) == "oc_XX eo_XX"


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_a_line_that_is_no_text_is_not_unpacked(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    """By any of the data tools and `laft trim`: kilobytes may hold a line of gigabytes."""
    path = tmp_path / f"t.txt{ending}"
    with OPENERS.get(ending, open)(path, "wb") as file:
        file.write(b"a b\n" + b"a" * 2**21)
    given = ["mono", "--backbone", str(backbone), "--out", str(tmp_path / "out")]
    options = command.parser().parse_args([*given, "--lang", "fr_XX", "--train", str(path)])
    assert run_command("binarize", lambda: command.main(options)) == 1
    flags = ["trim", "--backbone", str(MINI / "model.pt"), "--text", str(path), "--dry-run"]
    assert main.main(flags) == 2
    with pytest.raises(LaftError, match="line 2 is longer than 1 MiB"):
        list(lines_to_send(path, None))
    assert capsys.readouterr().err.count("line 2 is longer than 1 MiB") == 2
