"""What a training in a ``--save-dir`` goes on with: the run that is there, or another one.

fairseq resumes from ``checkpoint_last.pt`` whatever it was asked to begin from or to train on, and
reads ``--finetune-from-model`` only where there is none: a second run in the folder of a finished
one would be that one under another name.
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
# The task's options that say what it was trained on.
OPTIONS = {
    "_name": "--task",
    "train_langs": "--train-langs",
    "target_langs": "--target-langs",
    "target_rows": "--target-rows",
}


def check(cfg: Any, task: Any, tags: Sequence[str]) -> None:
    """Refuse to go on with a run that began otherwise, of another stage, or on other languages.

    Args:
        cfg: fairseq's ``checkpoint`` options.
        task: its ``task`` options.
        tags: the dictionary's, which are meant where no languages are named.

    Raises:
        LaftError: so it was; or what is to be begun from is not there.
    """
    last, start = Path(cfg.save_dir) / LAST, cfg.finetune_from_model
    if cfg.restore_file != LAST:
        return
    if not last.exists():
        if start is not None and not Path(start).exists():
            raise LaftError(f"--finetune-from-model {start}: no such checkpoint")
        return
    try:
        recorded = _table(read_checkpoint(str(last), mmap=True).get("cfg"))
    except LaftError:
        return  # what reads it whole says what is wrong with it
    before = _table(recorded.get("checkpoint")).get("finetune_from_model")
    before = before if isinstance(before, str) else None
    remedy = "name another --save-dir, or remove that one to begin anew"
    # Beside --finetune-from-model fairseq takes none of them, so that it is left out.
    anew = start is None and any(getattr(cfg, name, False) for name in RESETS)
    if not (anew or _is_same_file(before, start)):
        raise LaftError(
            f"{last}: that training began from {before or 'the backbone'}, not from "
            f"{start or 'the backbone'}; {remedy}"
        )
    trained_on = _table(recorded.get("task"))
    for name, option in OPTIONS.items():
        if cfg.reset_dataloader or name not in trained_on or not hasattr(task, name):
            continue
        was, now = (_shown(name, value, tags) for value in (trained_on[name], getattr(task, name)))
        if was != now:
            raise LaftError(f"{last}: trained with {option} {was}, not {now}; {remedy}")


def _table(values: Any) -> dict[str, Any]:
    """What a file records under a name, where it is what fairseq writes there."""
    return values if isinstance(values, dict) else {}


def _is_same_file(before: str | None, start: str | None) -> bool:
    """Whether both are one file, copies of it, or one is no more where it was."""
    if before is None or start is None:
        return before is start
    if before == start or not (os.path.exists(before) and os.path.exists(start)):
        return True
    return os.path.samefile(before, start) or filecmp.cmp(before, start, shallow=False)


def _shown(name: str, value: Any, tags: Sequence[str]) -> str:
    """An option's value in one form, with what it means where it is not given."""
    if not isinstance(value, str | None):
        return ascii(value)[:60]
    if name == "train_langs":
        return ",".join(split_tags(value) or tags)
    return ",".join(split_tags(value)) or "none" if name == "target_langs" else str(value)
