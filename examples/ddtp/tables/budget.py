"""What a run of the tables may cost: one frozen record, from presets, the environment and flags."""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from examples.ddtp.tables.controls import CONTROLS

ROWS = (
    "laft",
    "mbart_full",
    "mbart_enc",
    "mbart_enc_top2",
    "adapter",
    "tm_adv",
    "mbart_attn_qk",
    "tm_adv_frozen",
)
SETTINGS = (
    "zero-shot",
    "translate-train",
    "human-translation-train",
    "translate-test",
    "supervised",
    "controls",
    "questions",
    "few-shot",
)

VARIANTS = ("main", "stage1")
FEW_SHOT = (10, 100, 1000)  # what `laft table` has a name for


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Budget:
    """Everything that changes a number in the tables; recorded before the first training."""

    pairs: int = _option(8000, "English training pairs")
    stage1_updates: int = _option(120, "updates of stage 1, every row alike")
    stage2_updates: int = _option(250, "updates of stage 2, every row alike")
    supervised_updates: int = _option(1200, "updates of the supervised runs behind gate 1")
    max_tokens: int = _option(2048, "source tokens a batch")
    test_items: int = _option(0, "test items a language; 0: all")
    valid_items: int = _option(100, "validation items a language, for the choice of the rate")
    max_sentences: int = _option(0, "texts a language for the components; 0: all")
    grid: tuple[str, ...] = _option(("1e-3", "3e-4"), "learning rates, every row alike")
    stage1_grid: tuple[str, ...] = _option(
        ("1e-3", "3e-4"), "learning rates of stage 1, chosen by the loss on held-out text"
    )
    warmup: str = _option("0.1", "share of the updates that warms up; then linear decay")
    beam: int = _option(5, "beam of the reported outputs")
    valid_beam: int = _option(1, "beam of the outputs that choose the rate")
    seeds: int = _option(3, "seeds a row, zero-shot")
    stage1_seeds: int = _option(1, "seeds of stage 1; later seeds of stage 2 start from the last")
    seeds_near: int = _option(5, "seeds of laft and its three nearest rivals")
    target_seeds: int = _option(1, "seeds trained at the target's choice where it differs")
    joint_seeds: int = _option(1, "seeds of translate-train and of the oracle")
    control_seeds: int = _option(1, "seeds of a control; the two that the verdict reads have SEEDS")
    question_seeds: int = _option(1, "seeds of question generation")
    few_shot: tuple[int, ...] = _option(FEW_SHOT, "target pairs on top, repeated to a fifth of all")
    targets: tuple[str, ...] = _option(("fr_XX", "zh_CN"), "target languages")
    rows: tuple[str, ...] = _option(ROWS, "rows, as --method has them")
    variants: tuple[str, ...] = _option(VARIANTS, "rows as the paper has them, with stage 1 too")
    settings: tuple[str, ...] = _option(SETTINGS, "which parts to run")
    controls: tuple[str, ...] = _option(("all",), "which controls of laft to run")

    @property
    def langs(self) -> tuple[str, ...]:
        """Source and targets."""
        return ("en_XX", *self.targets)


# Parts of the work that may be chosen anew without making the recorded results another experiment.
SELECTING = ("rows", "variants", "settings", "controls")
# Of these a run may do fewer than were recorded, and the rest later.
COUNTS = ("seeds", "seeds_near", "joint_seeds", "control_seeds", "question_seeds")

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "tiny": {
        "pairs": 60, "stage1_updates": 4, "stage2_updates": 4, "supervised_updates": 4,
        "max_tokens": 2048, "test_items": 4, "valid_items": 4, "max_sentences": 40,
        "grid": ("1e-3", "1e-4"), "stage1_grid": ("1e-3",), "beam": 1, "seeds": 1, "seeds_near": 1,
        "rows": ("laft", "mbart_full"), "targets": ("fr_XX",), "settings": ("zero-shot",),
    },
    "evening": {
        "pairs": 4000, "stage1_updates": 60, "stage2_updates": 150, "supervised_updates": 400,
        "test_items": 200, "valid_items": 50, "max_sentences": 500,
        "stage1_grid": ("1e-3",), "seeds": 1, "seeds_near": 2, "few_shot": (100,),
        "settings": ("zero-shot", "supervised"),
        "rows": ("laft", "mbart_full", "mbart_enc", "mbart_enc_top2"),
    },
    "gpu": {
        "pairs": 31720, "stage1_updates": 2000, "stage2_updates": 2000,
        "supervised_updates": 4000, "max_tokens": 16384, "valid_items": 186, "joint_seeds": 3,
        "control_seeds": 3, "question_seeds": 3, "target_seeds": 3,
    },
}  # fmt: skip


ALL = ("test_items", "max_sentences")  # fields that may be `all`


def _convert(kind: Any, text: str, name: str) -> Any:
    parts = text.replace(",", " ").split()
    try:
        if kind == "int":
            return 0 if text == "all" and name in ALL else int(text)
        if kind == "tuple[int, ...]":
            return tuple(int(part) for part in parts)
    except ValueError:
        raise SystemExit(f"tables: {name.upper()}={text}: not a number") from None
    return tuple(parts) if str(kind).startswith("tuple") else text


def make(preset: str, given: Mapping[str, str]) -> Budget:
    """The preset with what was given, {field: text}, on top."""
    if preset not in PRESETS:
        raise SystemExit(f"tables: BUDGET={preset}: choose from {', '.join(PRESETS)}")
    values = dict(PRESETS[preset])
    for f in fields(Budget):
        if given.get(f.name):
            values[f.name] = _convert(f.type, given[f.name], f.name)
    budget = Budget(**values)
    _check(budget)
    return budget


# The least that a number may be; the fields that are not named here: 0.
AT_LEAST_ONE = ("pairs", "stage1_updates", "stage2_updates", "supervised_updates", "max_tokens",
                "valid_items", "beam", "valid_beam", "seeds", "stage1_seeds")  # fmt: skip


def _check(budget: Budget) -> None:
    """Refuse, in a line, what no step could do."""
    known: dict[str, Collection[Any]] = {
        "rows": ROWS, "settings": SETTINGS, "variants": VARIANTS, "controls": ("all", *CONTROLS),
        "few_shot": FEW_SHOT,
    }  # fmt: skip
    for f in fields(budget):
        name, value = f.name.upper(), getattr(budget, f.name)
        least = int(f.name in AT_LEAST_ONE)
        if isinstance(value, int) and value < least:
            raise SystemExit(f"tables: {name}={value}: at least {least} is needed")
        for part in value if isinstance(value, tuple) else ():
            if part not in known.get(f.name, [part]):
                words = " ".join(map(str, known[f.name]))
                raise SystemExit(f"tables: {name}: {part} is none of {words}")
            if value.count(part) > 1:
                raise SystemExit(f"tables: {name}: {part} is named twice")
    for name in ("grid", "stage1_grid", "targets"):
        if not getattr(budget, name):
            raise SystemExit(f"tables: {name.upper()}: at least 1 is needed")
    if "en_XX" in budget.targets:
        raise SystemExit("tables: TARGETS: en_XX is the source; name other languages")
    for rate in (*budget.grid, *budget.stage1_grid):
        if not 0 < _number(rate) < math.inf:
            raise SystemExit(f"tables: {rate}: not a number above 0, as a learning rate is")
    if not 0 <= _number(budget.warmup) < 1:
        raise SystemExit(
            f"tables: WARMUP={budget.warmup}: not a share of the updates, 0 to below 1"
        )
    if budget.seeds > budget.seeds_near:
        raise SystemExit("tables: SEEDS is at least 1 and at most SEEDS_NEAR")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def add_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for each field, beside the environment variable of its name."""
    for f in fields(Budget):
        flag = "--" + f.name.replace("_", "-")
        parser.add_argument(flag, metavar=f.name.upper(), help=f.metadata["help"])


def recorded(budget: Budget) -> dict[str, Any]:
    """The budget as JSON holds it."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(budget).items()
    }


def first_difference(
    recorded_before: Mapping[str, Any], budget: Budget, but: Collection[str] = SELECTING
) -> str | None:
    """The first field, but for some, that would make this another experiment, in words."""
    for key, value in recorded(budget).items():
        before = recorded_before.get(key)
        fewer = key in COUNTS and before is not None and value <= before
        if key not in but and before != value and not fewer:
            return f"{key.upper()} was {before}, is now {value}"
    if budget.seeds < recorded_before["seeds"] and budget.seeds_near > budget.seeds:
        return (
            f"SEEDS was {recorded_before['seeds']}, is now {budget.seeds}: the nearest rivals are "
            f"found on all of them; for fewer set SEEDS_NEAR={budget.seeds} too"
        )
    return None
