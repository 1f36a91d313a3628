"""`laft average`: the mean of a training's checkpoints loads wherever they do."""

from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq import hub
from laft_fairseq.checkpoints.header import HEADER_KEY
from laft_fairseq.cli.main import main
from tests import tiny, tiny_text
from tests.integration.conftest import SAVING, Run


@pytest.fixture(scope="module")
def updates(laft: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Stage 1's checkpoints after 1, 2 and 3 updates, slim, with the sentencepiece model."""
    folder = tmp_path_factory.mktemp("updates")
    tiny_text.write_sentencepiece(folder / "sentence.bpe.model")
    tiny.train(laft.data, folder, "denoising", *laft.parts, "--max-update", "3", "--batch-size",
               "20", "--save-interval-updates", "1", *SAVING)  # fmt: skip
    return [*sorted(folder.glob("checkpoint_*_*.pt")), folder / "checkpoint_last.pt"]


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


def average(out: Path, *checkpoints: Path) -> int:
    return main(["average", "--checkpoints", *map(str, checkpoints), "--out", str(out)])


def test_the_mean_of_slim_and_of_whole_checkpoints(
    laft: Run, updates: list[Path], tmp_path: Path
) -> None:
    """Bit for bit what stays, in float64 what moves; equal content is equal bytes."""
    assert len(updates) == 3
    out, whole = updates[0].with_name("mean.pt"), tmp_path / "whole"
    assert average(out, *updates) == 0
    states, mean = [read(path)["model"] for path in updates], read(out)
    assert mean["model"].keys() == states[0].keys()
    moved = 0
    for name, tensor in mean["model"].items():
        parts = torch.stack([state[name] for state in states])
        same = torch.equal(parts[0], parts[1])
        moved += not same
        expected = parts[0] if same else parts.double().mean(0).float()
        assert torch.equal(tensor, expected), name
    assert moved > 10 and torch.equal(mean["model"][HEADER_KEY], states[2][HEADER_KEY])
    assert not mean.get("last_optimizer_state")
    again = tmp_path / "again.pt"
    assert average(again, *updates) == 0
    assert again.read_bytes() == out.read_bytes()

    paths = []
    for number, path in enumerate(updates):
        paths.append(tmp_path / f"whole{number}.pt")
        assert main(["export", "--checkpoint", str(path), "--out", str(paths[-1])]) == 0
    assert average(tmp_path / "mean.pt", *paths) == 0
    assert main(["export", "--checkpoint", str(out), "--out", str(whole)]) == 0
    slim, exported = read(whole / "model.pt")["model"], read(tmp_path / "mean.pt")["model"]
    assert all(torch.equal(slim[name], exported[name]) for name in slim)
    assert (tmp_path / "mean.pt").stat().st_size < 1.1 * paths[0].stat().st_size
    texts = tiny_text.raw("fr_XX", 3)
    of_slim, of_whole = (hub.load(path, laft.data, updates[0].with_name("sentence.bpe.model"))
                         for path in (out, tmp_path / "mean.pt"))  # fmt: skip
    outputs = of_slim.generate(texts, "fr_XX", beam=2, max_len_b=5)
    assert outputs == of_whole.generate(texts, "fr_XX", beam=2, max_len_b=5)
    tiny.train(
        laft.data, tmp_path / "stage2", "generation", "--method", "laft", "--backbone",
        laft.backbone, "--finetune-from-model", out, "--train-langs", "en_XX", "--max-update", "1",
        *SAVING,
    )  # fmt: skip


def test_checkpoints_of_several_trainings(
    laft: Run, updates: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = updates[0], tmp_path / "other.pt"
    content = read(first)

    def refused(*checkpoints: Path) -> str:
        assert average(tmp_path / "mean.pt", *checkpoints) == 2
        assert not (tmp_path / "mean.pt").exists()
        return capsys.readouterr().err

    assert f"{laft.stage2}: its " in refused(first, laft.stage2)
    assert "is not that of" in refused(first, laft.stage2)
    state = {key: t for key, t in read(laft.backbone)["model"].items() if key != HEADER_KEY}
    torch.save({"model": state}, other)
    assert f"{other}: not written by laft_fairseq" in refused(first, other)
    assert "a mean takes two or more" in refused(first)
    name = "encoder.language_components.fr_XX.components"
    content["model"][name] = content["model"][name].flip(0)
    torch.save(content, other)
    assert f"{other}: its {name} is not that of {first}" in refused(first, other)
    del content["model"][name]
    torch.save(content, other)
    assert f"{other}: its {name} is not" in refused(first, other)
