import argparse
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils, utils
from fairseq.data.encoders.sentencepiece_bpe import SentencepieceBPE
from fairseq.distributed import utils as distributed_utils
from fairseq.models import distributed_fairseq_model
from fairseq.trainer import Trainer

from laft_fairseq import compat
from laft_fairseq.checkpoints.reading import ORIGIN_KEY, read_checkpoint, tensor_text, text_tensor
from laft_fairseq.compat import startup
from laft_fairseq.errors import LaftError


class Malicious:
    """Creates a file when a careless reader unpickles it."""

    def __init__(self, created: Path) -> None:
        self.created = created

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.created,))


def fairseq_checkpoint(path: Path, **model: torch.Tensor) -> Path:
    history = [{"best_loss": 1.0, "criterion_name": "x", "num_updates": 1}]
    extra = {"train_iterator": {"epoch": 1}}
    content = {"args": None, "optimizer_history": history}
    torch.save({**content, "extra_state": extra, "model": model}, path)
    return path


def test_checkpoints_of_fairseq_load_weights_only(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    torch.save({"args": argparse.Namespace(arch="x"), "model": {"w": torch.ones(2)}}, path)
    for mmap in (True, False):
        content = read_checkpoint(str(path), mmap=mmap)
        assert content["args"].arch == "x"
        assert torch.equal(content["model"]["w"], torch.ones(2))


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("old_format", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(
    tmp_path: Path, mmap: bool, old_format: bool
) -> None:
    created, path = tmp_path / "created", tmp_path / "evil.pt"
    torch.save({"model": Malicious(created)}, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(LaftError, match=r"evil\.pt: refused, nothing of it was run: "):
        read_checkpoint(str(path), mmap=mmap)
    assert not created.exists()


@pytest.mark.parametrize(
    "text", ["bonjour le monde\n", "epoch 1\n", "source\ttarget\n", "", "\x80"]
)
def test_a_text_is_no_checkpoint(tmp_path: Path, text: str) -> None:
    """Whatever its first letters mean to a reader of pickles."""
    path = tmp_path / "t.pt"
    path.write_text(text)
    with pytest.raises(LaftError, match=r"t\.pt: ") as caught:
        read_checkpoint(str(path))
    assert "\n" not in str(caught.value)


def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    created, path = tmp_path / "created", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Malicious(created)))
    with pytest.raises(LaftError, match=r"evil\.pkl: "):
        read_checkpoint(str(path))
    assert not created.exists()


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_damaged_file_is_refused(tmp_path: Path, kept: float, mmap: bool) -> None:
    path = fairseq_checkpoint(tmp_path / "c.pt", w=torch.ones(5000))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(LaftError, match=r"c\.pt: "):
        read_checkpoint(str(path), mmap=mmap)


@pytest.mark.parametrize("mmap", [False, True])
def test_a_folder_is_no_checkpoint(tmp_path: Path, mmap: bool) -> None:
    with pytest.raises(LaftError, match=r"a folder; name the file in it, such as model\.pt"):
        read_checkpoint(str(tmp_path), mmap=mmap)


def test_other_content_is_refused(tmp_path: Path) -> None:
    torch.save(torch.ones(2), tmp_path / "t.pt")
    with pytest.raises(LaftError, match=r"t\.pt: .* a Tensor, not a dict"):
        read_checkpoint(str(tmp_path / "t.pt"))
    with pytest.raises(LaftError, match=r"absent\.pt: no such checkpoint"):
        read_checkpoint(str(tmp_path / "absent.pt"))


def test_only_our_checkpoints_learn_their_origin(tmp_path: Path) -> None:
    """A stock model loaded strictly in the same process must not meet a key of ours."""
    stock = fairseq_checkpoint(tmp_path / "stock.pt", w=torch.ones(1))
    ours = fairseq_checkpoint(tmp_path / "ours.pt", **{"laft.header": torch.ones(1)})
    assert set(checkpoint_utils.load_checkpoint_to_cpu(str(stock))["model"]) == {"w"}
    model = checkpoint_utils.load_checkpoint_to_cpu(str(ours))["model"]
    assert tensor_text(model[ORIGIN_KEY]) == str(ours)


def test_a_bare_backbone_is_no_checkpoint_to_resume(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.ones(1)}}, tmp_path / "model.pt")
    with pytest.raises(LaftError, match=r"model\.pt: not a checkpoint of fairseq's training"):
        checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "model.pt"))


def test_fairseq_reading_a_broken_file_says_so(tmp_path: Path) -> None:
    path = fairseq_checkpoint(tmp_path / "c.pt", w=torch.ones(5000))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(LaftError, match=r"c\.pt: corrupt or truncated"):
        checkpoint_utils.load_checkpoint_to_cpu(str(path))


def test_text_in_a_tensor() -> None:
    tensor = text_tensor("café 中")
    assert tensor.dtype == torch.uint8
    assert tensor_text(tensor) == "café 中"


def test_numpy_has_what_fairseqs_token_blocks_want() -> None:
    assert np.compat.long is int  # type: ignore[attr-defined]


def test_patches_are_applied_once() -> None:
    patched = [
        (SentencepieceBPE, "decode"), (sys, "excepthook"), (utils, "move_to_cpu"),
        (Trainer, "load_checkpoint"), (Trainer, "train_step"),
        (distributed_utils, "call_main"), (distributed_utils, "distributed_init"),
        (distributed_fairseq_model, "DistributedDataParallel"),
        *((checkpoint_utils, name) for name in ("load_checkpoint_to_cpu", "save_checkpoint",
          "load_checkpoint", "load_model_ensemble_and_task")),
    ]  # fmt: skip
    compat.apply()  # torch.distributed, where a test has used it, has laid its hook over ours
    before = [getattr(*where) for where in patched]
    compat.apply()
    assert before == [getattr(*where) for where in patched]
    assert all(function.laft for function in before)


def test_an_uncaught_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Also where fairseq has wrapped it; anything else keeps its traceback."""
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: seen.append(args))
    startup.one_line_errors()
    wrapped = Exception("Cannot load model parameters")
    wrapped.__context__ = LaftError("data-bin: no language xx_XX")
    sys.excepthook(type(wrapped), wrapped, None)
    assert capsys.readouterr().err == "laft: error: data-bin: no language xx_XX\n"
    assert not seen
    other = ValueError("x")
    sys.excepthook(ValueError, other, None)
    assert seen == [(ValueError, other, None)]
