"""One model trained by two processes, as torchrun starts them, against one process."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq import register  # noqa: F401  registers the criterion in this process
from laft_fairseq.cli import main
from laft_fairseq.components import file as components_file
from tests import tiny
from tests.integration.conftest import ROUGE, Run

EXACT = ("--dropout", "0", "--attention-dropout", "0", "--activation-dropout", "0",
         "--autocast", "none", "--batch-size", "4", "--no-epoch-checkpoints",
         "--save-interval-updates", "1")  # fmt: skip
Checkpoint = dict[str, Any]


def launch(module: str, *words: str | Path, agents: int = 1) -> list[str]:
    """Run a module in two processes of one torchrun, or of two as on two machines; their output."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in range(agents):
        command = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={agents}",
                   f"--node_rank={rank}", f"--nproc_per_node={2 // agents}",
                   "--master_addr=127.0.0.1", f"--master_port={port}", "-m", module,
                   *map(str, words)]  # fmt: skip
        running.append(subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=tiny.PACKAGE.parent,
        ))  # fmt: skip
    try:
        outputs = [agent.communicate(timeout=300)[0] for agent in running]
    finally:
        for agent in running:
            agent.kill()
    assert not any(agent.returncode for agent in running), "".join(outputs)[-4000:]
    return outputs


def train_in_two(
    data: Path, save_dir: Path, stage: str, *flags: str | Path, agents: int = 1
) -> list[str]:
    """Train by `torchrun --nproc_per_node=2 -m fairseq_cli.train`; returns the output."""
    words = ("fairseq_cli.train", *tiny.train_flags(data, save_dir, stage, *flags))
    return launch("tests.ended", *words, "--user-dir", tiny.PACKAGE, agents=agents)


def meters(checkpoint: Checkpoint, aggregator: str) -> dict[str, Any]:
    """What fairseq keeps unrounded of losses and scores, by name."""
    kept = checkpoint["extra_state"]["metrics"].get(aggregator, [])
    return {name: state for _, name, _, state in kept}


def curve(folder: Path, epoch: int, update: int) -> tuple[list[float], dict[str, torch.Tensor]]:
    """At an update: training and validation loss and all sums of generated text; and the model."""
    content = torch.load(folder / f"checkpoint_{epoch}_{update}.pt", weights_only=True)
    points = []
    for aggregator in ("train", "valid"):
        loss = meters(content, aggregator)["loss"]
        points.append(float(loss["sum"]) / float(loss["count"]))
    valid = meters(content, "valid")
    points += [float(valid[name]["sum"]) for name in sorted(valid) if name.startswith("_eval_")]
    return points, content["model"]


def expect_alike(one: Path, two: Path, epoch: int, update: int) -> list[float]:
    """Curves and parameters within 1e-5; returns the curve's point."""
    (points, model), (others, other) = (curve(folder, epoch, update) for folder in (one, two))
    assert points == pytest.approx(others, abs=1e-5)
    assert model.keys() == other.keys()
    for name, tensor in model.items():
        assert torch.allclose(tensor.double(), other[name].double(), atol=1e-5), name
    return points


def expect_same_classifier(one: Path, two: Path) -> None:
    """The criterion's parameters within 1e-5, where it has any."""
    first, second = (
        torch.load(folder / "checkpoint_last.pt", weights_only=True)["criterion"] or {}
        for folder in (one, two)
    )
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.allclose(tensor, second[name], atol=1e-5), name


def test_stage_1_goes_on_in_two_processes_as_in_one(laft: Run, tmp_path: Path) -> None:
    """Two updates in one process; the next ones in one and, from the checkpoint, in two."""
    one, two = tmp_path / "one", tmp_path / "two"
    flags = (*laft.parts, *EXACT, "--max-update", "5")
    tiny.train(laft.data, one, "denoising", *flags, "--update-freq", "2")
    two.mkdir()
    shutil.copy(one / "checkpoint_1_2.pt", two / "checkpoint_last.pt")
    train_in_two(laft.data, two, "denoising", *flags)
    points = [expect_alike(one, two, 1, update) for update in (3, 4, 5)]
    assert points[0] != points[1]
    assert not (two / "checkpoint_1_2.pt").exists()  # it began after that


def test_stage_2_and_its_rouge_are_the_same_on_two_machines(laft: Run, tmp_path: Path) -> None:
    """Ten validation texts in three batches, so that one process has one batch more."""
    one, two = tmp_path / "one", tmp_path / "two"
    flags = ("--method", "laft", "--backbone", laft.backbone, "--finetune-from-model", laft.stage1,
             "--train-langs", "en_XX", "--valid-langs", "fr_XX,zh_CN", *ROUGE, *EXACT,
             "--ddp-backend", "pytorch_ddp", "--max-update", "2")  # fmt: skip
    tiny.train(laft.data, one, "generation", *flags, "--update-freq", "2")
    outputs = train_in_two(laft.data, two, "generation", *flags, agents=2)
    first, second = (expect_alike(one, two, 1, update) for update in (1, 2))
    assert first != second
    assert second[4:6] == [10, 10]  # texts of fr and zh, in two validations
    assert [output.count("| valid |") for output in outputs] in ([2, 0], [0, 2])  # rank zero logs
    assert sum("Saved checkpoint" in output for output in outputs) == 1


@pytest.mark.parametrize(
    ("row", "backend"), [("laft", "legacy_ddp"), ("tm_adv_frozen", "pytorch_ddp")]
)
def test_the_last_update_of_an_epoch_is_divided_by_all_of_its_tokens(
    laft: Run, tmp_path: Path, row: str, backend: str
) -> None:
    """Seven batches, four an update: in two processes one has a batch and an empty one left.

    The classifier of ``tm_adv_frozen`` reduces its gradients at every batch of pytorch_ddp.
    """
    one, two = tmp_path / "one", tmp_path / "two"
    special = {
        "laft": ("--finetune-from-model", laft.stage1, "--batch-size", "3"),
        "tm_adv_frozen": ("--criterion", "laft_adversarial", "--target-langs", "fr_XX",
                          "--batch-size", "6"),
    }[row]  # fmt: skip
    flags = ("--method", row, "--backbone", laft.backbone, "--train-langs", "en_XX",
             "--valid-langs", "fr_XX", *EXACT, *special, "--optimizer", "sgd",
             "--ddp-backend", backend, "--max-update", "3")  # fmt: skip
    tiny.train(laft.data, one, "generation", *flags, "--update-freq", "4")
    train_in_two(laft.data, two, "generation", *flags, "--update-freq", "2")
    expect_alike(one, two, 2, 3)
    expect_same_classifier(one, two)


def test_components_of_two_processes(laft: Run, tmp_path: Path) -> None:
    """The Gram matrices are those of one process, and so is n."""
    backbone = tmp_path / "model.pt"
    content = torch.load(laft.backbone, weights_only=True)
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    torch.save({**content, "cfg": {"model": heads}}, backbone)
    words = ["components", "--backbone", backbone, "--data", laft.data, "--langs", "en_XX,zh_CN",
             "--num-components", "3", "--max-tokens", "40", "--cpu", "--out"]  # fmt: skip
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    assert main.main([str(word) for word in (*words, one)]) == 0
    assert "".join(launch("laft_fairseq.cli", *words, two)).count("wrote ") == 1
    files = [components_file.load(path, with_statistics=True) for path in (one, two)]
    for tag in ("en_XX", "zh_CN"):
        first, second = (file.statistics[tag] for file in files)
        assert (first.count, second.count) == (20, 20)
        for name in ("gram", "sum", "unit_gram", "unit_sum"):
            expected, actual = getattr(first, name), getattr(second, name)
            assert (expected - actual).abs().max() <= 1e-10 * expected.abs().max(), name
