"""Checkpoints whose bytes have changed, and averages of several."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq.checkpoints.header import HEADER_KEY, pop_header
from laft_fairseq.checkpoints.reading import DamagedFileError, read_checkpoint
from laft_fairseq.checkpoints.record import open_checkpoint
from laft_fairseq.errors import LaftError
from tests import tiny


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny model, with every weight."""
    path = tmp_path_factory.mktemp("damage") / "c.pt"
    torch.save({"model": tiny.whole_state_dict(tiny.scrambled())}, path)
    return path


@pytest.mark.parametrize("size", [1, 64, 4096])
def test_no_flipped_or_zeroed_block_is_overlooked(path: Path, tmp_path: Path, size: int) -> None:
    """Of the weights: each of them is read as it was written, or none is."""
    draw, content = random.Random(size), path.read_bytes()
    weights = torch.load(path)["model"]
    damaged, refused = tmp_path / "c.pt", 0
    for number in range(60):
        start = draw.randrange(len(content) - size)
        block = content[start : start + size]
        new = (
            bytes(size) if number % 2 else bytes([block[0] ^ (1 << draw.randrange(8))]) + block[1:]
        )
        damaged.write_bytes(content[:start] + new + content[start + size :])
        try:
            read = read_checkpoint(str(damaged), mmap=bool(number % 3))["model"]
        except DamagedFileError:
            refused += 1
        else:  # what lies between the tensors, or was zero
            assert all(torch.equal(read[name], weights[name]) for name in weights)
    assert refused > 30


def test_files_without_checksums_can_be_read(path: Path, tmp_path: Path) -> None:
    """As torch wrote them before 2020, mbart.cc25 among them."""
    content = torch.load(path)
    torch.save(content, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    read = read_checkpoint(str(tmp_path / "old.pt"), mmap=True)["model"]
    assert all(torch.equal(read[name], tensor) for name, tensor in content["model"].items())


def averaged(models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """As fairseq's scripts/average_checkpoints.py computes it, integers too."""
    sums: dict[str, Tensor] = {}
    for state in models:
        for name, tensor in state.items():
            tensor = tensor.float() if tensor.dtype == torch.float16 else tensor
            if name not in sums:
                sums[name] = tensor.clone()
            else:
                sums[name] += tensor
    for tensor in sums.values():
        if torch.is_floating_point(tensor):
            tensor.div_(len(models))
        else:
            tensor //= len(models)
    return sums


@pytest.mark.parametrize("count", [2, 3, 50])
def test_an_average_is_a_checkpoint(tmp_path: Path, count: int) -> None:
    """Its header is that of each, and its weights are loaded as any."""
    models = [tiny.scrambled() for _ in range(count)]
    for seed, model in enumerate(models):
        tiny.scramble(model, seed)
    torch.save({"model": averaged([tiny.whole_state_dict(m) for m in models])}, tmp_path / "c.pt")
    checkpoint, built = open_checkpoint(str(tmp_path / "c.pt")), tiny.model()
    assert checkpoint.header == models[0].header("whole", [])
    built.load_state_dict(checkpoint.state_to_load(), strict=True)
    name = "encoder.task_module.0.fc1.weight"
    mean = torch.stack([m.state_dict()[name] for m in models]).mean(0)
    assert torch.allclose(built.state_dict()[name], mean, atol=1e-6)


def test_an_average_of_older_checkpoints_says_so() -> None:
    header = tiny.model().header("whole", []).to_tensor().to(torch.uint8)
    state = averaged([{HEADER_KEY: header}] * 3)
    with pytest.raises(LaftError, match="or an average of checkpoints that an older laft_fairseq"):
        pop_header(state)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(number: float) -> None:
    """Nothing could be generated with them."""
    state = tiny.whole_state_dict(tiny.scrambled())
    state["encoder.layer_norm.bias"][3] = number
    with pytest.raises(LaftError, match=r"its encoder\.layer_norm\.bias holds infinite numbers"):
        tiny.model().load_state_dict(state, strict=True)
