"""Runs of the workflow for its tests, at the smallest size, by commands that start at once."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.recipes.warm import Warm

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "systems": ["mbart_enc_top2"],
    "targets": ["fr_XX"],
    "pairs": 30,
    "test_items": 3,
    "valid_items": 2,
    "max_sentences": 40,
    "stage1": "",
    "stage1_updates": 2,
    "stage2_updates": 8,
    "stage1_grid": ["1e-3"],
    "grid": ["1e-3"],
    "max_tokens": 1024,
    "warmup": 1,
    "save_updates": 5,
    "beam": 1,
    "max_len": 16,
    "figure": False,
}


class Run:
    """One recipe with a configuration on top, in a folder of its own."""

    def __init__(self, path: str, place: Path, recipe: str = "", whole: bool = False,
                 **settings: Any) -> None:  # fmt: skip
        self.path, self.folder, self.out = path, place, place / "out"
        written = place / "small.yaml"
        written.write_text(
            yaml.safe_dump({**({} if whole else SMALL), "out": str(self.out), **settings})
        )
        files = [str(ROOT / "examples" / f"{recipe}.yaml")] if recipe else []
        self.command = ["snakemake", "-s", str(ROOT / "examples" / "workflow" / "Snakefile"),
                        "--configfile", *files, str(written), "--cores", "2"]  # fmt: skip

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Begin, as the leader of a process group."""
        return subprocess.Popen(
            [*self.command, *options], cwd=self.folder, text=True, start_new_session=True,
            env={**os.environ, "PATH": self.path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __call__(self, *options: str, code: int = 0) -> str:
        """Run to the end; what was printed."""
        process = self.start(*options)
        text, _ = process.communicate(timeout=900)
        assert process.returncode == code, text[-5000:]
        return text

    def results(self) -> dict[str, Any]:
        """Every result file, without what a clock or the system measured."""
        found = {}
        for path in sorted((self.out / "results").rglob("*.json")):
            content = json.loads(path.read_text())
            cost = content.get("cost", {})
            for key in [key for key in cost if key.endswith("_seconds")]:
                del cost[key]
            for key in ("peak_mib", "interrupted"):
                cost.pop(key, None)
            found[path.relative_to(self.out).as_posix()] = content
        return found


def small(warm: Warm, place: Path, recipe: str = "", **settings: Any) -> Run:
    """A run whose commands start at once."""
    return Run(warm.path(), place, recipe, **settings)
