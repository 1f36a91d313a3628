"""What a training in a ``--save-dir`` goes on with: the run that is there, or another one.

fairseq resumes from ``checkpoint_last.pt`` whatever it was asked to begin from or to train on, and
reads ``--finetune-from-model`` only where there is none: a second run in the folder of a finished
one would be that one under another name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from laft_fairseq.errors import LaftError

LAST = "checkpoint_last.pt"
DATA = ("train_langs", "target_langs", "target_rows")  # the task's: what it was trained on


def check(cfg: Any, task: Any) -> None:
    """Refuse to go on with a run that began otherwise, or that was trained on other languages.

    Args:
        cfg: fairseq's ``checkpoint`` options.
        task: its ``task`` options.

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
        content = torch.load(last, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        return  # what reads it whole says what is wrong with it
    saved = content.get("cfg") or {}
    before = (saved.get("checkpoint") or {}).get("finetune_from_model")
    remedy = "name another --save-dir, or remove that one to begin anew"
    if not _same(before, start):
        raise LaftError(
            f"{last}: that training began from {before or 'the backbone'}, not from "
            f"{start or 'the backbone'}; {remedy}"
        )
    if cfg.reset_dataloader:
        return
    for option, was, now in _changed(saved.get("task") or {}, task):
        raise LaftError(f"{last}: trained with {option} {was}, not {now}; {remedy}")


def _same(before: str | None, start: str | None) -> bool:
    """One file, or one that is no more where it was."""
    if before is None or start is None:
        return before is start
    if before == start or not (os.path.exists(before) and os.path.exists(start)):
        return True
    return os.path.samefile(before, start)


def _changed(saved: Mapping[str, Any], task: Any) -> list[tuple[str, Any, Any]]:
    found = []
    for name in DATA:
        was, now = saved.get(name), getattr(task, name, None)
        if was is not None and now is not None and str(was) != str(now):
            found.append((f"--{name.replace('_', '-')}", was, now))
    return found
