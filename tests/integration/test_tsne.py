"""`laft tsne` on a tiny model: a figure, its numbers, and one clear line for wrong input."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from PIL import Image

from laft_fairseq import progress
from laft_fairseq.cli import main
from tests import tiny

COUNT = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.write_data(tmp_path_factory.mktemp("data"), COUNT)
    for tag in ("en_XX", "fr_XX"):
        tiny.write_texts(folder / tag / "same", tiny.random_texts("en_XX", 12))
    tiny.write_texts(folder / "en_XX" / "odd", tiny.random_texts("en_XX", 9))
    tiny.write_texts(folder / "fr_XX" / "odd", tiny.random_texts("fr_XX", 8))
    return folder


def checkpoint(path: Path, method: str, control: str = "") -> Path:
    model = tiny.model(method=method, removal="projection")
    tiny.scramble(model)
    model.control = control
    args = Namespace(arch="laft_mbart_tiny", task="laft_generation", method=method)
    args.removal, args.max_source_positions, args.max_target_positions = "projection", 64, 64
    torch.save({"args": args, "model": tiny.whole_state_dict(model)}, path)
    return path


@pytest.fixture(scope="module")
def laft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("model") / "laft.pt", "laft")


def command(
    laft: Path, data: Path, out: Path | None, *flags: str, langs: str = "en_XX,fr_XX,zh_CN"
) -> int:
    options = ["--checkpoint", laft, "--data", data, "--langs", langs, *flags]
    options += [] if out is None or "--out" in flags else ["--out", out]
    return main.main(["tsne", "--cpu", *map(str, options)])


def test_figure_and_numbers(
    laft: Path, data: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    out, numbers = tmp_path / "figure2.png", tmp_path / "figure2.json"
    flags = ("--split", "train", "--max-sentences", "10", "--parallel", "--json", str(numbers))
    assert command(laft, data, out, *flags) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure2.json", "figure2.png"]
    report = json.loads(numbers.read_text())
    stages = [(*panel["langs"], panel["stage"]) for panel in report["panels"]]
    assert stages == [("en_XX", o, s) for o in ("fr_XX", "zh_CN") for s in ("e", "r", "fused")]
    assert report["sentences"] == {"en_XX": 10, "fr_XX": 10, "zh_CN": 10}
    assert (report["method"], report["removal"], report["d"]) == ("laft", "projection", tiny.D)
    assert all(0 < share <= 1 for share in report["removed"].values())
    for panel in report["panels"]:
        assert -1 <= panel["silhouette"] <= 1
        assert panel["probe"]["chance"] == 0.5
        assert panel["retrieval"]["chance"] == 0.1
        assert panel["perplexity"] == 5
        assert 0 <= panel["token_probe"]["value"] <= 1
        assert 40 <= panel["token_probe"]["tokens"] <= 80
        assert "retrieval_masked" not in panel
    assert report["control"] == ""
    with Image.open(out) as picture:
        assert picture.width > picture.height > 1000
        assert picture.info["Description"] == report["command"]
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 100  # not an empty sheet
    assert str(laft) in report["command"]
    shown = capsys.readouterr()
    for line in ("src: 10 of 10 sentences", "measures: 6 of 6 panels", "t-SNE: 6 of 6 maps"):
        assert f"{line}, 00:00 left" in shown.err
    lines = shown.out.splitlines()
    assert len(lines) == 1 + 6 + 2
    assert lines[1].startswith("en_XX fr_XX  encoder output")


def test_a_model_without_removal_has_one_column(data: Path, tmp_path: Path) -> None:
    """Its caption may name no folder, and then the picture holds none."""
    plain, numbers = checkpoint(tmp_path / "mbart_full.pt", "mbart_full"), tmp_path / "n.json"
    caption = "laft tsne --checkpoint $OUT/mbart_full.pt"
    flags = ("--split", "train", "--json", str(numbers), "--caption-command", caption)
    assert command(plain, data, tmp_path / "f.png", *flags, langs="en_XX,fr_XX") == 0
    report = json.loads(numbers.read_text())
    assert report["command"] == caption
    assert str(tmp_path).encode() not in (tmp_path / "f.png").read_bytes()
    assert [panel["stage"] for panel in report["panels"]] == ["e"]
    assert "retrieval" not in report["panels"][0]
    assert report["removed"] == {}


def test_measures_only(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No figure, a line that names the control, retrieval without the words that both hold."""
    model = checkpoint(tmp_path / "control.pt", "laft", control="random-subspace, seed 4")
    numbers = tmp_path / "n.json"
    flags = ("--split", "train", "--parallel", "--mask-latin", "--measures-only",
             "--tokens-per-text", "0", "--json", str(numbers))  # fmt: skip
    assert command(model, data, None, *flags) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["control.pt", "n.json"]
    report = json.loads(numbers.read_text())
    assert report["control"] == "random-subspace, seed 4"
    output = capsys.readouterr().out
    assert "language components are an ablation: random-subspace, seed 4" in output
    assert all("perplexity" not in panel and "token_probe" not in panel for panel in
               report["panels"])  # fmt: skip
    shares = [panel["retrieval_masked"]["left_out"] for panel in report["panels"]]
    assert shares[0] == shares[1] == shares[2]
    # en and fr draw from words of their own, zh holds none; no word is shared.
    assert shares[0] == {"en_XX": 0, "fr_XX": 0}
    for panel in report["panels"]:
        masked = panel["retrieval_masked"]
        assert {name: masked[name] for name in panel["retrieval"]} == panel["retrieval"]
    same = ("--split", "same", "--parallel", "--mask-latin", "--measures-only",
            "--json", str(numbers))  # fmt: skip
    assert command(model, data, None, *same, langs="en_XX,fr_XX") == 0
    panel = json.loads(numbers.read_text())["panels"][0]
    assert panel["retrieval_masked"]["left_out"] == {"en_XX": 1, "fr_XX": 1}  # all was shared
    assert panel["retrieval_masked"]["forward"] == 1 / 12  # of empty texts nothing is found
    assert panel["retrieval"]["forward"] > 1 / 12


@pytest.mark.parametrize(
    ("flags", "langs", "message"),
    [
        ((), "en_XX", "--langs en_XX"),
        ((), "en_XX,xx_XX", "unknown language xx_XX"),
        (("--split", "dev"), "en_XX,fr_XX", "no dev texts for language en_XX"),
        (("--split", "odd", "--parallel"), "en_XX,fr_XX", "en_XX 9, fr_XX 8"),
        (("--max-sentences", "3"), "en_XX,fr_XX", "--max-sentences 3"),
        (("--measures-only",), "en_XX,fr_XX", "--measures-only"),
        (("--mask-latin",), "en_XX,fr_XX", "--mask-latin"),
        (("--tokens-per-text", "-1"), "en_XX,fr_XX", "--tokens-per-text -1"),
        (("--out", "figure.pdf"), "en_XX,fr_XX", "figure.pdf: the figure is a PNG"),
        (("--out", "no/such/f.png"), "en_XX,fr_XX", "no/such/f.png: no such folder"),
    ],
)
def test_wrong_input_is_one_line(
    laft: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...], langs: str, message: str,
) -> None:  # fmt: skip
    assert command(laft, data, tmp_path / "f.png", *flags, langs=langs) == 2
    error = capsys.readouterr().err
    assert error.startswith("laft: error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
