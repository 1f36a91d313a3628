import argparse
import os
import pickle
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, call

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils, options, utils
from fairseq.data.encoders.sentencepiece_bpe import SentencepieceBPE
from fairseq.distributed import utils as distributed_utils
from fairseq.file_io import PathManager
from fairseq.models import distributed_fairseq_model
from fairseq.trainer import Trainer

from laft_fairseq import compat
from laft_fairseq.checkpoints.header import HEADER_KEY, Header
from laft_fairseq.checkpoints.reading import ORIGIN_KEY, read_checkpoint, tensor_text
from laft_fairseq.compat import error_lines, startup
from laft_fairseq.errors import LaftError
from tests import tiny


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
@pytest.mark.parametrize("form", ["zip", "old", "pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, mmap: bool, form: str) -> None:
    created, path = tmp_path / "created", tmp_path / "evil.pt"
    if form == "pickle":
        path.write_bytes(pickle.dumps(tiny.Harmful(created)))
    else:
        new = form == "zip"
        torch.save({"model": tiny.Harmful(created)}, path, _use_new_zipfile_serialization=new)
    with pytest.raises(LaftError, match=r"evil\.pt: "):
        read_checkpoint(str(path), mmap=mmap)
    assert not created.exists()


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(
    "content",
    ["bonjour le monde\n", "epoch 1\n", "source\ttarget\n", "", "\x80", 10, 0.5, 0.99, None, ...],
)
def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, content: Any, mmap: bool) -> None:
    """A text, whatever its first letters mean to a reader of pickles; some bytes or a share of a
    checkpoint; a tensor; a folder; nothing."""
    path = fairseq_checkpoint(tmp_path / "c.pt", w=torch.ones(5000))
    held = path.read_bytes()
    if isinstance(content, str):
        path.write_text(content)
    elif content is None:
        torch.save(torch.ones(2), path)
    elif content is ...:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(held[: content if content >= 1 else int(content * len(held))])
    with pytest.raises(LaftError, match=r"^[^\n]*c\.pt: [^\n]*$"):
        read_checkpoint(str(path), mmap=mmap)
    with pytest.raises(LaftError, match=r"absent\.pt: "):
        read_checkpoint(str(tmp_path / "absent.pt"))


def test_only_our_checkpoints_learn_their_origin(tmp_path: Path) -> None:
    """A stock model loaded strictly in the same process must not meet a key of ours."""
    stock = fairseq_checkpoint(tmp_path / "stock.pt", w=torch.ones(1))
    header = Header("whole", "laft", ["en_XX"], "scaled").to_tensor()
    ours = fairseq_checkpoint(tmp_path / "ours.pt", **{HEADER_KEY: header})
    assert set(checkpoint_utils.load_checkpoint_to_cpu(str(stock))["model"]) == {"w"}
    model = checkpoint_utils.load_checkpoint_to_cpu(str(ours))["model"]
    assert tensor_text(model[ORIGIN_KEY]) == str(ours)


def test_fairseq_reads_no_broken_file_and_no_bare_backbone(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.ones(1)}}, tmp_path / "model.pt")
    broken = fairseq_checkpoint(tmp_path / "c.pt", w=torch.ones(5000))
    broken.write_bytes(broken.read_bytes()[:3000])
    for path in (tmp_path / "model.pt", broken):
        with pytest.raises(LaftError, match=f"{path}: "):
            checkpoint_utils.load_checkpoint_to_cpu(str(path))


def test_numpy_has_what_fairseqs_token_blocks_want() -> None:
    assert np.compat.long is int  # type: ignore[attr-defined]


def test_patches_are_applied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fairseq_cli", sys)  # as in a command of fairseq's
    patched = [
        (SentencepieceBPE, "decode"), (options, "parse_args_and_arch"), (utils, "move_to_cpu"),
        (Trainer, "load_checkpoint"), (Trainer, "train_step"), (Trainer, "_check_grad_norms"),
        (Trainer, "save_checkpoint"),
        (PathManager, "copy"),
        (distributed_utils, "call_main"), (distributed_utils, "distributed_init"),
        (distributed_fairseq_model, "DistributedDataParallel"),
        *((checkpoint_utils, name) for name in ("load_checkpoint_to_cpu", "save_checkpoint",
          "load_checkpoint", "load_model_ensemble_and_task", "torch_persistent_save",
          "verify_checkpoint_directory")),
    ]  # fmt: skip
    compat.apply()
    before = [getattr(*where) for where in patched]
    compat.apply()
    assert before == [getattr(*where) for where in patched]
    assert all(hasattr(function, "__wrapped__") for function in before)


def test_a_program_that_imports_the_package_keeps_its_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a command line of fairseq's has its errors printed by us."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    compat.apply()
    assert sys.excepthook is sys.__excepthook__


def test_the_environments_caches_and_allocator_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("GLIBC_TUNABLES", "MALLOC_"))]:
        monkeypatch.delenv(name)
    calls = MagicMock()
    monkeypatch.setattr(startup.ctypes, "CDLL", calls)
    monkeypatch.setattr(startup.platform, "libc_ver", lambda: ("glibc", "2.36"))
    calls.return_value.mallopt.side_effect = lambda _, value: int(value <= 1 << 25)  # an older one
    startup.reuse_freed_blocks()
    assert call(startup.M_MMAP_THRESHOLD, 1 << 25) in calls.return_value.mallopt.mock_calls
    calls.reset_mock()
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    startup.reuse_freed_blocks()
    assert not calls.called
    for name in startup.KERNEL_CACHES:
        monkeypatch.setenv(name, "1024")
    startup.bound_kernel_caches()
    assert {os.environ[name] for name in startup.KERNEL_CACHES} == {"1024"}


def test_an_interrupted_command_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Python then ends by the signal, as a shell expects."""
    error_lines.excepthook(sys.__excepthook__, KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "laft: interrupted\n"
