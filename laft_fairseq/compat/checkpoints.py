"""fairseq's checkpoints, written without what nobody reads again, and read without danger.

fairseq copies Adam's states, twice what is trained, into every checkpoint. A run resumes from
``checkpoint_last.pt`` (numbered ones are kept for that too), so the best one is written without.
And it fetches a matrix from the GPU once for each of its names, so that mBART's embedding, which
has three, would be stored three times. Of what it reads, nothing of ours reaches it unchecked.
"""

import inspect
import logging
import math
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from laft_fairseq.checkpoints import resuming
from laft_fairseq.checkpoints.record import NOT_OURS, Checkpoint, open_checkpoint
from laft_fairseq.checkpoints.size import check_size
from laft_fairseq.errors import LaftError, in_one_line, laft_error_in
from laft_fairseq.files import replacing
from laft_fairseq.training import save_folder

logger = logging.getLogger(__name__)

BEST = ("checkpoint_best*.pt", "checkpoint.best_*.pt")
STATE = "last_optimizer_state"
DAMAGE = (AttributeError, IndexError, KeyError, TypeError, ValueError)  # what odd contents raise


@dataclass
class Restoring:
    """What fairseq's reader is asked for, and what it has read."""

    builds: bool = False  # a model is built of the file's options
    ours_alone: bool = False  # every other file is refused
    path: str = ""  # of the last checkpoint of ours that was read, or ""


current: ContextVar[Restoring | None] = ContextVar("current", default=None)


@contextmanager
def restoring(builds: bool, ours_alone: bool) -> Iterator[None]:
    """Tell fairseq's reader, which is called within it, what it is asked for.

    Raises:
        LaftError: in place of whatever fairseq or torch makes of a file's odd options and tensors.
    """
    request = Restoring(builds, ours_alone)
    token = current.set(request)
    try:
        yield
    except LaftError:
        raise
    except Exception as error:  # a training also reads its data within
        if request.path and (builds or isinstance(error, DAMAGE)):
            raise damaged(request.path, error) from error
        raise
    finally:
        current.reset(token)


def damaged(path: str, error: Exception) -> LaftError:
    """The LaftError behind ``error``, or else one that names the file."""
    reason = f"{type(error).__name__}: {in_one_line(error)}"
    return laft_error_in(error) or LaftError(
        f"{path}: cannot be used; it is damaged or of another model ({reason})"
    )


def without_optimizer_state(path: Path) -> None:
    """Write a checkpoint anew without its optimizer state, whole or not at all."""
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if content.pop(STATE, None):
        with replacing(path) as partial, partial.open("wb") as file:
            torch.save(content, file)


def save_checkpoint(stock: Any, cfg: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
    """Save as fairseq does, then the best one without optimizer state if the last one has it."""
    folder = Path(cfg.save_dir)
    before = {path: path.stat().st_mtime_ns for name in BEST for path in folder.glob(name)}
    result = stock(cfg, trainer, *args, **kwargs)
    ours = hasattr(trainer.task, "stage") and trainer.data_parallel_rank == 0
    if ours and not (
        cfg.no_save or cfg.no_last_checkpoints or cfg.write_checkpoints_asynchronously
    ):
        for path in (path for name in BEST for path in folder.glob(name)):
            if path.stat().st_mtime_ns != before.get(path):
                without_optimizer_state(path)
    return result


def verify_checkpoint_directory(stock: Any, save_dir: str) -> None:
    """Take the folder for this training alone, which the first process of each calls for."""
    save_folder.enter(Path(save_dir))


def torch_persistent_save(stock: Any, obj: Any, filename: Any, async_write: bool = False) -> None:
    """Save as fairseq does, whole or not at all, without what a failure would leave behind."""
    if async_write or not isinstance(filename, str):
        stock(obj, filename, async_write)
        return
    with replacing(Path(filename)) as partial, partial.open("wb") as file:
        torch.save(obj, file)


def copy(stock: Any, src_path: str, dst_path: str, overwrite: bool = False) -> Any:
    """Copy a checkpoint as fairseq does, but whole or not at all."""
    with replacing(Path(dst_path)) as partial:
        return stock(src_path, str(partial), True)


def load_checkpoint(stock: Any, cfg: Any, trainer: Any, **kwargs: Any) -> Any:
    """Resume as fairseq does, where the run that is there is the one that is asked for."""
    if hasattr(trainer.task, "stage"):
        resuming.check(cfg, trainer.cfg.model, trainer.task.cfg, trainer.task.tags)
    with restoring(False, hasattr(trainer.task, "stage")):
        extra_state, batches = stock(cfg, trainer, **kwargs)
    done, last = trainer.get_num_updates(), trainer.cfg.optimization.max_update
    if hasattr(trainer.task, "stage") and 0 < last <= done:
        logger.warning(
            "%s: has made its %d updates; nothing is done, unless --max-update is above them",
            cfg.save_dir, done,
        )  # fmt: skip
        # fairseq would make one more: no epoch's number is at most another
        return extra_state, Namespace(next_epoch_idx=math.nan)
    return extra_state, batches


def load_checkpoint_to_cpu(
    stock: Any, path: Any, arg_overrides: Any = None, load_on_all_ranks: bool = False
) -> Any:
    """Read as fairseq does; of a checkpoint of ours give what checkpoints/record.py lets through.

    Raises:
        LaftError: names the file and what is refused in it.
    """
    from fairseq import checkpoint_utils
    from fairseq.file_io import PathManager

    request, local = current.get() or Restoring(), PathManager.get_local_path(path)
    if not os.path.exists(local):
        return stock(path, arg_overrides, load_on_all_ranks)
    checkpoint = open_checkpoint(local, mmap=request.builds)
    if not checkpoint.is_ours and request.ours_alone:
        raise LaftError(f"{path}: {NOT_OURS}")
    try:
        if not checkpoint.is_ours:
            return stock(path, arg_overrides, load_on_all_ranks)
        request.path = str(path)
        content = _restored(checkpoint, arg_overrides or {}, request.builds)
        return checkpoint_utils._upgrade_state_dict(content)
    except KeyError as error:
        raise LaftError(
            f"{path}: not a checkpoint of fairseq's training (no {error}); a bare backbone "
            "goes to --backbone"
        ) from None


def _restored(checkpoint: Checkpoint, overrides: Any, builds: bool) -> dict[str, Any]:
    """What may be used of a checkpoint of ours, as fairseq's own reader gives it."""
    from fairseq.dataclass.utils import overwrite_args_by_name
    from omegaconf import OmegaConf

    content = checkpoint.usable_content()
    content["cfg"] = OmegaConf.create(content["cfg"], flags={"allow_objects": True})
    overwrite_args_by_name(content["cfg"], overrides)
    if builds:
        check_size(checkpoint, content["cfg"].get("model"))
    return content | {"model": checkpoint.state_to_load(as_tensors=not builds)}


def load_model_ensemble_and_task(stock: Any, filenames: Any, *args: Any, **kwargs: Any) -> Any:
    """Load as fairseq does; a task of ours then knows the file, for a criterion to be built.

    With such a task, or with ours as ``--user-dir`` and none, only our checkpoints are read.
    """
    given = inspect.signature(stock).bind(filenames, *args, **kwargs).arguments
    if not given.get("suffix") and given.get("num_shards", 1) == 1:
        for name in filenames:
            if not Path(name).exists():
                raise LaftError(f"{name}: no such checkpoint")
    task = given.get("task")
    ours_alone = hasattr(task, "stage") if task is not None else _is_user_dir()
    with restoring(True, ours_alone):
        models, cfg, task = stock(filenames, *args, **kwargs)
    if hasattr(task, "stage"):
        task.checkpoint = str(filenames[0]) if len(filenames) == 1 else ""
    return models, cfg, task


def _is_user_dir() -> bool:
    """Whether fairseq was told of this package by ``--user-dir``."""
    from fairseq.utils import import_user_module

    package = Path(str(sys.modules[__name__.split(".")[0]].__file__)).resolve().parent
    return any(Path(path).resolve() == package for path in getattr(import_user_module, "memo", ()))


def move_to_cpu(stock: Any, sample: Any) -> Any:
    """Move a sample as fairseq does, but what is one tensor stays one."""
    from fairseq.utils import apply_to_sample

    moved: dict[Any, torch.Tensor] = {}

    def once(tensor: torch.Tensor) -> torch.Tensor:
        place = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if not tensor.numel() or place not in moved:
            moved[place] = stock([tensor])[0]
        return moved[place]

    return apply_to_sample(once, sample)
