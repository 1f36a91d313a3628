"""A folder of result files with made-up numbers from a seeded generator: for tests alone."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laft_fairseq.reporting.markup import Table

LANGS = ("fr_XX", "zh_CN")
N = 60
GRID = [1e-3, 3e-4]
# Means of the made-up systems: LAFT wins clearly, and by its removal.
MEANS = {
    ("laft", "main"): 32.0,
    ("laft", "projection"): 31.5,
    ("mbart_full", "main"): 22.0,
    ("mbart_full", "stage1"): 25.0,
    ("mbart_enc", "main"): 23.5,
    ("mbart_enc", "stage1"): 26.0,
    ("tm_adv", "main"): 21.0,
    ("laft", "no-removal"): 27.0,
    ("laft", "random-subspace"): 26.5,
    ("laft", "k-12"): 31.0,
}
CONTRASTS = [("mbart_full", "stage1"), ("mbart_enc", "stage1"), ("tm_adv", "main")]
TRAINED = {"laft": 1_579_520, "mbart_full": 12_004_352, "mbart_enc": 3_159_040, "tm_adv": 13.6e6}
TEXTS = {"fr_XX": "éditeur de texte <b>simple</b>", "zh_CN": "简单的文本编辑器"}
# One white pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ff"
    "ff3f0005fe02fe0def46b80000000049454e44ae426082"
)


def items(mean: float, seed: int, n: int = N, item_seed: int = 0) -> list[float]:
    """(n,) scores: the item's own difficulty is shared by all systems and seeds."""
    difficulty = np.random.default_rng(item_seed).normal(0, 8, n)
    own = np.random.default_rng([seed, round(mean * 100)])
    drawn = mean + difficulty - difficulty.mean() + own.normal(0, 0.2) + own.normal(0, 2, n)
    return [round(float(x), 4) for x in np.clip(drawn, 0, 100)]


def result(method: str, variant: str, lang: str, seed: int, scores: Sequence[float],
           **changes: Any) -> dict[str, Any]:  # fmt: skip
    """A `laft-result/1`."""
    mean = float(np.mean(scores))
    rouge = {"f": mean, "low": mean - 2, "high": mean + 2}
    floor = {"rougeL": {"f": 27.0, "low": 25.0, "high": 29.0}}
    given = {
        "format": "laft-result/1", "task": "headlines", "setting": "zero-shot",
        "method": method, "variant": variant, "lang": lang, "seed": seed,
        "selection": "source", "learning_rate": {"stage1": 1e-3, "stage2": 3e-4}, "grid": GRID,
        "trained": {"parameters": int(TRAINED.get(method, 1e6)), "of": 14_578_176},
        "cost": {"stage1_seconds": 120.0, "stage2_seconds": 90.0, "generate_seconds": 30.0,
                 "stage1_updates": 55, "stage2_updates": 90, "threads": 1},
        "commands": [f"fairseq-train data-bin --method {method} --seed {seed}",
                     "fairseq-generate data-bin --beam 5 > log && echo 'a < b'"],
        "curve": [{"stage": stage, "update": update, "split": split, "loss": 9 / (1 + update / 40)}
                  for stage in (1, 2) for split in ("train", "valid") for update in (10, 50, 90)]
                 + [{"stage": 2, "update": update, "split": "valid", "loss": 3.0,
                     "rougeL": {"en_XX": 20.0 + update, "fr_XX": 10.0 + update},
                     "copied": {"en_XX": 50.0 - update, "fr_XX": 90.0 - update}}
                    for update in (12, 24)],
        "scores": {"rougeL": rouge, "right_language": 98.0 + (method == "laft"), "copied": 10.0,
                   "length_ratio": 1.1, "novel_rougeL": 9.0, "empty": 0,
                   "rougeL_right_language": mean + 0.1, "reference_right_language": 99.0,
                   "reference_copied": 14.0, "signature": "rouge:F|protocol:unicode",
                   "floors": {"lead1": floor, "english_reference": floor}},
        "items": {"rougeL": list(scores)},
        "outputs": [f"{TEXTS.get(lang, 'text')} {i} {method}" for i in range(10)],
    }  # fmt: skip
    return given | changes


def experiment(**changes: Any) -> dict[str, Any]:
    """A `laft-experiment/1`."""
    given = {
        "format": "laft-experiment/1", "title": "Synthetic tables",
        "backbone": {"name": "mini", "parameters": 10_974_208},
        "budget": {"pairs": 8000, "seeds": {"laft": 3}}, "machine": "none: these are made up",
        "source": "en_XX", "targets": list(LANGS),
        "contrasts": [{"setting": "zero-shot", "lang": lang, "method": method, "variant": variant}
                      for lang in LANGS for method, variant in CONTRASTS],
        "verdict": {"smallest_gain": 1.0}, "amended": [{"field": "pairs"}],  # of older runs
        "not_testable": [{"setting": "translate-train", "lang": "zh_CN",
                          "reason": "no translation engine, 205 human pairs"}],
        "samples": {"headlines": {lang: {"inputs": [f"{TEXTS[lang]} input {i}" for i in range(10)],
                                         "references": [TEXTS[lang]] * 10} for lang in LANGS},
                    "questions": {"zh_CN": {"inputs": [], "references": []}}},
        "paper": {"source": "made up", "cells": [{"table": 1, "rougeL": None}]},  # of older runs
    }  # fmt: skip
    return given | changes


def gates(*passed: bool | None) -> dict[str, Any]:
    """A `laft-gates/1`."""
    return {"format": "laft-gates/1", "gates": [
        {"name": f"gate{i}", "title": f"Gate number {i}", "passed": state,
         "detail": "32.1 against 27.0", "hangs": "any claim about French"}
        for i, state in enumerate(passed)]}  # fmt: skip


def representations(variant: str) -> dict[str, Any]:
    """A `laft-representations/1`."""
    panels = [{"langs": ["en_XX", lang], "stage": stage, "silhouette": 0.148,
               "probe": {"value": 0.999, "chance": 0.5},
               "retrieval": {"forward": 0.5, "backward": 0.6, "chance": 0.001}}
              for lang in LANGS for stage in ("e", "r", "fused")]  # fmt: skip
    measures = {"removed": {"en_XX": 0.12, "fr_XX": 0.15}, "panels": panels}
    return {"format": "laft-representations/1", "variant": variant, "removal": "scaled",
            "measures": measures}  # fmt: skip


def put(folder: Path, name: str, data: Any) -> Path:
    """Write one file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return path


def put_cell(folder: Path, method: str, mean: float, seed: int = 1, **changes: Any) -> None:
    """Write one cell, by default of the method's main variant, zero-shot and in French."""
    given = {"variant": "main", "lang": "fr_XX", "scores": items(mean, seed)} | changes
    cell = result(
        method, given.pop("variant"), given.pop("lang"), seed, given.pop("scores"), **given
    )
    keys = ("task", "setting", "method", "variant", "lang", "selection", "seed")
    put(folder, f"cells/{'.'.join(str(cell[key]) for key in keys)}.json", cell)


def write(folder: Path, means: dict[tuple[str, str], float] | None = None, seeds: int = 3) -> Path:
    """A whole folder: cells of both languages, experiment, gates, representations, figure."""
    for (method, variant), mean in (means or MEANS).items():
        for lang in LANGS:
            for seed in range(1, seeds + 1):
                put_cell(folder, method, mean, seed, variant=variant, lang=lang)
    put_cell(folder, "laft", 30.0, lang="zh_CN", task="questions")
    put(folder, "experiment.json", experiment())
    put(folder, "gates.json", gates(True, True))
    put(folder, "representations/main.json", representations("main"))
    (folder / "figure2.png").write_bytes(PNG)
    return folder


def rows(table: Table) -> dict[str, list[str]]:
    """A table's rows, the first of a name: first column -> the others, `|` before a small line."""
    found: dict[str, list[str]] = {}
    for row in (row for row in table.rows if not isinstance(row, str)):
        entries = [re.sub(r"<.*?>|\\", "", str(entry).replace("<br>", "|")) for entry in row]
        found.setdefault(entries[0].split("|")[0], entries[1:])
    return found
