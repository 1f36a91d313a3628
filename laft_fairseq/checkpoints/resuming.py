"""Whether a training may resume the run in its ``--save-dir``.

fairseq resumes from ``checkpoint_last.pt`` whatever it was asked to start from or to train on, and
reads ``--finetune-from-model`` only where there is none: a second run in the folder of a finished
one would be the first one under another name.
"""

import filecmp
import logging
import os
import shutil
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laft_fairseq.checkpoints.reading import DamagedFileError, read_checkpoint
from laft_fairseq.errors import LaftError
from laft_fairseq.files import replacing
from laft_fairseq.languages.tags import split_tags
from laft_fairseq.training.rank_consistency import is_rank_zero

logger = logging.getLogger(__name__)

LAST = "checkpoint_last.pt"
RESETS = ("reset_optimizer", "reset_lr_scheduler", "reset_meters", "reset_dataloader")
# The options that a resumed run must share, by fairseq's groups of them.
SHARED = {
    "model": {"method": "--method"},
    "task": {
        "_name": "--task",
        "train_langs": "--train-langs",
        "target_langs": "--target-langs",
        "target_rows": "--target-rows",
    },
}


def check(cfg: Any, model: Any, task: Any, tags: Sequence[str]) -> None:
    """Refuse to resume a run of another starting point, system, stage or other languages.

    ``cfg`` are fairseq's ``checkpoint`` options; ``tags`` is what an empty ``--train-langs`` means.

    Raises:
        LaftError: also where a checkpoint that is asked for does not exist.
    """
    last, start = Path(cfg.save_dir) / LAST, cfg.finetune_from_model
    if cfg.restore_file != LAST:
        if not Path(cfg.restore_file).is_file():
            raise LaftError(f"--restore-file {cfg.restore_file}: no such checkpoint")
        return
    saved: dict[str, Any] = _table(_read_last(last).get("cfg")) if last.exists() else {}
    before = _table(saved.get("checkpoint")).get("finetune_from_model")
    before = before if isinstance(before, str) else None
    if start is not None and start != before and not Path(start).is_file():
        raise LaftError(f"--finetune-from-model {start}: no such checkpoint")
    if not last.exists():
        return
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
    for group, given in (("model", model), ("task", task)):
        options = _table(saved.get(group))
        for name, option in SHARED[group].items():
            if name not in options or not hasattr(given, name):
                continue
            was, now = (
                _as_text(name, each, tags) for each in (options[name], getattr(given, name))
            )
            if was != now:
                raise LaftError(f"{last}: trained with {option} {was}, not {now}; {remedy}")


def _read_last(last: Path) -> dict[str, Any]:
    """Read a run's last checkpoint; a damaged one is replaced by the newest of its others.

    The best ones, which have no optimizer state, are none that a run can go on from.

    Raises:
        LaftError: it cannot be read, and nothing can take its place.
    """
    try:
        return read_checkpoint(str(last), mmap=True)
    except DamagedFileError as error:
        damage = error
    numbered = [path for path in last.parent.glob("checkpoint[_0-9]*.pt")
                if path.stem.removeprefix("checkpoint").replace("_", "").isdigit()]  # fmt: skip
    for path in sorted(numbered, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            content = read_checkpoint(str(path), mmap=True)
        except DamagedFileError:
            continue
        if is_rank_zero():
            logger.warning("%s; going on from %s, the newest whole one", damage, path)
            with replacing(last) as partial:
                shutil.copyfile(path, partial)
        return content
    raise LaftError(f"{damage}, or delete it to start again: no whole one is beside it")


def _table(values: Any) -> dict[str, Any]:
    """Return what a file records under a name, if it is what fairseq writes there."""
    table = vars(values) if type(values) is Namespace else values
    return table if isinstance(table, dict) else {}


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
