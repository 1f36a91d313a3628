"""`laft components`: against scipy on the M_L that the encoder gives, and what is refused."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from laft_fairseq import progress
from laft_fairseq.checkpoints.header import HEADER_KEY
from laft_fairseq.cli import main
from laft_fairseq.components import file as components_file
from laft_fairseq.models.laft_encoder import LAFTEncoder
from tests import tiny
from tests.full_disk import full_disk, read_only

COUNT = 40


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone and monolingual data in `model.pt` and `data-bin`."""
    folder = tmp_path_factory.mktemp("components")
    model = tiny.model(method="mbart_full")
    tiny.scramble(model)
    args = Namespace(arch="laft_mbart_tiny", encoder_attention_heads=2, decoder_attention_heads=2)
    torch.save({"args": args, "model": model.state_dict()}, folder / "model.pt")
    tiny.write_data(folder / "data-bin", COUNT)
    return folder


def estimate(home: Path, out: str, *flags: str) -> Path:
    """Run the command on the CPU."""
    path = home / out
    status = main.main(
        ["components", "--backbone", str(home / "model.pt"), "--data", str(home / "data-bin"),
         "--num-components", "3", "--cpu", "--out", str(path), *flags]
    )  # fmt: skip
    assert status == 0
    return path


def sentence_means(
    home: Path, tag: str, count: int = COUNT, last: str = "", layout: str = "suffix"
) -> np.ndarray:
    """M_L (n, d): each text, with `last` for its tag, alone through mBART's encoder, by numpy."""
    model = tiny.model(method="mbart_full")
    model.load_state_dict(torch.load(home / "model.pt", weights_only=True)["model"])
    rows = []
    for text in tiny.random_texts(tag, count):
        mark = tiny.ids(last or f"[{tag}]")
        before, after = (mark, []) if layout == "prefix" else ([], mark)
        tokens = torch.tensor([[*before, *text, *after]])  # (1, T): X </s> [l] or [l] X </s>
        with torch.no_grad():
            e = tiny.numpy(model.encoder.forward_backbone(tokens)["encoder_out"][0])[:, 0]
        rows.append(e[len(before) :][: len(text) - 1].mean(0))  # neither </s> nor the tag
    return np.stack(rows)


def projector_distance(c: torch.Tensor, m: np.ndarray) -> float:
    """Largest difference between c c' and the projector of scipy's right singular vectors."""
    _, _, right = scipy.linalg.svd(m, full_matrices=False)
    expected = right[: c.size(1)].T @ right[: c.size(1)]
    return float(np.abs(tiny.numpy(c) @ tiny.numpy(c).T - expected).max())


def test_one_pass_agrees_with_scipy(home: Path) -> None:
    """The projector on c_L within 1e-6, and s_L's means, for two languages."""
    file = components_file.load(estimate(home, "one.safetensors", "--langs", "en_XX,zh_CN"))
    assert list(file.languages) == ["en_XX", "zh_CN"]
    for tag in file.languages:
        m, entry = sentence_means(home, tag), file.select(tag)
        assert entry.count == COUNT
        assert projector_distance(entry.components, m) < 1e-6
        c = tiny.numpy(entry.components)
        scaled = (m / np.linalg.norm(m, axis=1, keepdims=True)) @ c @ c.T
        np.testing.assert_allclose(entry.mean_removed["scaled"], scaled.mean(0), atol=1e-6)
        np.testing.assert_allclose(
            entry.mean_removed["projection"], (m @ c @ c.T).mean(0), atol=1e-6
        )


@pytest.mark.parametrize(
    ("flags", "count", "last"),
    [
        ("--max-tokens 20", COUNT, ""),  # batches of a few sentences, padded differently
        ("--max-sentences 11", 11, ""),  # the first of the file, not the shortest
        ("--mask-source-tag", COUNT, "<mask>"),
    ],
)
def test_what_is_encoded(home: Path, flags: str, count: int, last: str) -> None:
    file = components_file.load(estimate(home, "some", "--langs", "fr_XX", *flags.split()))
    entry = file.select("fr_XX")
    assert entry.count == count
    assert file.mask_source_tag is bool(last)
    expected = sentence_means(home, "fr_XX", count, last)
    assert projector_distance(entry.components, expected) < 1e-6
    if last:
        assert projector_distance(entry.components, sentence_means(home, "fr_XX")) > 1e-3


def test_the_tag_before_the_text(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """mBART-50's layout, by the option; a backbone that records the other one is refused."""
    flags = ("--langs", "fr_XX", "--tag-layout", "prefix")
    with pytest.raises(AssertionError):
        estimate(home, "refused.safetensors", *flags)
    assert "model.pt: its tag layout is suffix" in capsys.readouterr().err
    content = torch.load(home / "model.pt", weights_only=True)
    del content["model"][HEADER_KEY]  # as of a backbone that is not ours
    torch.save(content, tmp_path / "model.pt")
    (tmp_path / "data-bin").symlink_to(home / "data-bin")
    file = components_file.load(estimate(tmp_path, "prefix.safetensors", *flags))
    assert file.layout == "prefix"
    c = file.select("fr_XX").components
    assert projector_distance(c, sentence_means(home, "fr_XX", layout="prefix")) < 1e-6
    assert projector_distance(c, sentence_means(home, "fr_XX")) > 1e-3


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--langs en_XX --out no/c", "no/c: no such folder no"),
        ("--langs en_XX --num-components 33", "--num-components 33: {home}/model.pt"),
        ("--langs en_XX --max-length 2", "en_XX/train"),
        ("--langs en_XX --max-tokens 5", "--max-tokens 5: a text of {home}/data-bin/en_XX/train"),
        ("--langs en_XX --max-tokens 0", "--max-tokens 0: at least 1"),
        ("--from c --control random-subspace --seed -1", "--seed -1: must be from 0"),
        ("--langs de_DE", "unknown language de_DE"),
        ("--langs en_XX --split nosuch", "nosuch.idx: no such data for language en_XX"),
        ("--langs en_XX,fr_XX --max-sentences 2", "{home}/data-bin: language en_XX: 2 sentences"),
        ("", "--langs is needed"),
    ],
)
def test_wrong_input_is_refused_before_any_sentence_is_encoded(
    home: Path, flags: str, named: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(LAFTEncoder, "forward_backbone", None)
    with pytest.raises(AssertionError):
        estimate(home, "refused", *flags.split())
    error = capsys.readouterr().err
    assert named.format(home=home) in error
    assert error.splitlines()[-1].startswith("laft: error: ")
    assert "Traceback" not in error
    assert not (home / "refused").exists()


def test_what_is_read_is_not_overwritten(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Merged twice into one of its parts, the other part would count twice."""
    first = estimate(home, "p1", "--langs", "en_XX", "--split", "train")
    second = estimate(home, "p2", "--langs", "en_XX", "--split", "valid")
    before = first.read_bytes()
    for flags in (["--merge", first, second], ["--from", first, "--control", "random-subspace"]):
        assert main.main(["components", *map(str, flags), "--out", str(home / "." / "p1")]) == 2
        assert "p1: is read too, and would be lost" in capsys.readouterr().err
    assert first.read_bytes() == before


def test_progress_a_full_disk_and_a_read_only_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the file and the reason; the old file is kept; a folder is tried first."""
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    path = estimate(home, "kept.safetensors", "--langs", "en_XX")
    assert f"laft: en_XX: {COUNT} of {COUNT} sentences, 00:00 left" in capsys.readouterr().err
    before = path.read_bytes()
    words = ["components", "--backbone", str(home / "model.pt"), "--data", str(home / "data-bin"),
             "--num-components", "3", "--cpu", "--langs", "fr_XX", "--out", str(path)]  # fmt: skip
    with full_disk():
        assert main.main(words) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"laft: error: {path}: cannot be written (File too large)"
    read_only(monkeypatch)
    assert main.main(words) == 2
    error = capsys.readouterr().err
    assert (
        error == f"laft: error: {path}: its folder cannot be written to (Read-only file system)\n"
    )
    assert path.read_bytes() == before
    assert not list(home.glob(".*"))
