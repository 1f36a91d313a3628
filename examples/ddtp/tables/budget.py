"""What a run of the tables may cost: one frozen record, from presets, the environment and flags."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

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
    control_seeds: int = _option(1, "seeds of a control")
    question_seeds: int = _option(1, "seeds of question generation")
    few_shot: tuple[int, ...] = _option((10, 100, 1000), "target pairs on top")
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


def _convert(kind: Any, text: str, name: str) -> Any:
    parts = text.replace(",", " ").split()
    try:
        if kind == "int":
            return 0 if text == "all" else int(text)
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


def _check(budget: Budget) -> None:
    for name, known in (("rows", ROWS), ("settings", SETTINGS), ("variants", VARIANTS)):
        unknown = [value for value in getattr(budget, name) if value not in known]
        if unknown:
            raise SystemExit(f"tables: {name.upper()}: {unknown[0]} is none of {' '.join(known)}")
    for rate in (*budget.grid, *budget.stage1_grid, budget.warmup):
        try:
            float(rate)
        except ValueError:
            raise SystemExit(f"tables: {rate}: not a number") from None
    if (
        not budget.grid
        or not budget.stage1_grid
        or min(budget.pairs, budget.stage1_updates, budget.stage2_updates) < 1
    ):
        raise SystemExit("tables: GRID, STAGE1_GRID, PAIRS and updates: at least 1 is needed")
    if not 1 <= budget.seeds <= budget.seeds_near:
        raise SystemExit("tables: SEEDS is at least 1 and at most SEEDS_NEAR")


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
