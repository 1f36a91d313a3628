"""Whether a training may resume the run in its ``--save-dir``.

fairseq resumes from ``checkpoint_last.pt`` whatever it was asked to start from or to train on, and
reads ``--finetune-from-model`` only where there is none: a second run in the folder of a finished
one would be the first one under another name.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laft_fairseq.checkpoints.reading import read_checkpoint
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.tags import split_tags

LAST = "checkpoint_last.pt"
RESETS = ("reset_optimizer", "reset_lr_scheduler", "reset_meters", "reset_dataloader")
# The task's options that a resumed run must share.
TRAINED_ON = {
    "_name": "--task",
    "train_langs": "--train-langs",
    "target_langs": "--target-langs",
    "target_rows": "--target-rows",
}


def check(cfg: Any, task: Any, tags: Sequence[str]) -> None:
    """Refuse to resume a run of another starting point, another stage or other languages.

    Args:
        cfg: fairseq's ``checkpoint`` options.
        task: its ``task`` options.
        tags: the dictionary's, which an empty ``--train-langs`` stands for.

    Raises:
        LaftError: the run differs, or the checkpoint of ``--finetune-from-model`` does not exist.
    """
    last, start = Path(cfg.save_dir) / LAST, cfg.finetune_from_model
    if cfg.restore_file != LAST:
        return
    if not last.exists():
        if start is not None and not Path(start).exists():
            raise LaftError(f"--finetune-from-model {start}: no such checkpoint")
        return
    try:
        content = read_checkpoint(str(last), mmap=True)
    except LaftError:
        return  # the loader that reads all of it says what is wrong
    saved = _table(content.get("cfg"))
    before = _table(saved.get("checkpoint")).get("finetune_from_model")
    before = before if isinstance(before, str) else None
    remedy = "choose another --save-dir, or delete this one to start again"
    # fairseq allows none of them beside --finetune-from-model, so that it is left out.
    is_reset = start is None and any(getattr(cfg, name, False) for name in RESETS)
    if not (is_reset or _same_file(before, start)):
        raise LaftError(
            f"{last}: that training started from {before or 'the backbone'}, not from "
            f"{start or 'the backbone'}; {remedy}"
        )
    if cfg.reset_dataloader:
        return
    options = _table(saved.get("task"))
    for name, option in TRAINED_ON.items():
        if name not in options or not hasattr(task, name):
            continue
        was, now = (_as_text(name, value, tags) for value in (options[name], getattr(task, name)))
        if was != now:
            raise LaftError(f"{last}: trained with {option} {was}, not {now}; {remedy}")


def _table(values: Any) -> dict[str, Any]:
    """Return what a file records under a name, if it is what fairseq writes there."""
    return values if isinstance(values, dict) else {}


def _same_file(before: str | None, start: str | None) -> bool:
    """Return whether both are one file, copies, or one of them no longer exists."""
    if before is None or start is None:
        return before is start
    if before == start or not (os.path.exists(before) and os.path.exists(start)):
        return True
    return os.path.samefile(before, start) or filecmp.cmp(before, start, shallow=False)


def _as_text(name: str, value: Any, tags: Sequence[str]) -> str:
    if not isinstance(value, str | None):
        return ascii(value)[:60]
    if name == "train_langs":
        return ",".join(split_tags(value) or tags)
    return ",".join(split_tags(value)) or "none" if name == "target_langs" else str(value)
