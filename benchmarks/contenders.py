"""The commands that are compared, each as a user would run it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.shapes import Shape

TRAIN = (sys.executable, "-m", "fairseq_cli.train")
STEPS = (sys.executable, "-m", "benchmarks.transformers_steps")
OPTIMISER = ("--optimizer", "adam", "--lr", "1e-5", "--clip-norm", "0.1")
QUIET = ("--no-save", "--disable-validation", "--no-progress-bar", "--log-interval", "1",
         "--num-workers", "0", "--seed", "1", "--max-epoch", "1000")  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """One row: its name, the command, and the work of a sample in GFLOP, where it was counted."""

    name: str
    command: tuple[str, ...]
    gflop: float = 0.0
    fills: str = ""  # a folder that an untimed run of the command fills first, if it is not there


@dataclass(frozen=True)
class Place:
    """What a command needs to know."""

    folder: Path
    shape: Shape
    updates: int
    cuda: bool = False

    @property
    def device(self) -> tuple[str, ...]:
        """The flag of a machine without an accelerator."""
        return () if self.cuda else ("--cpu",)


def stock_fairseq(place: Place) -> tuple[str, ...]:
    """Plain fairseq, its own task, model and criterion: full finetuning."""
    shape = place.shape
    sides = []
    for side in ("encoder", "decoder"):
        sides += [f"--{side}-layers", str(shape.layers), f"--{side}-embed-dim", str(shape.d),
                  f"--{side}-ffn-embed-dim", str(shape.ffn),
                  f"--{side}-attention-heads", str(shape.heads),
                  f"--{side}-normalize-before", f"--{side}-learned-pos"]  # fmt: skip
    return (
        *TRAIN, str(place.folder / "stock"), "--task", "translation", "-s", "src", "-t", "tgt",
        "--arch", "mbart_large", *sides, "--share-all-embeddings", "--layernorm-embedding",
        "--criterion", "cross_entropy", "--dropout", "0.1", "--attention-dropout", "0.1",
        "--max-source-positions", "1024", "--max-target-positions", "1024",
        *OPTIMISER, *QUIET, *place.device, "--batch-size", str(shape.batch),
        "--max-update", str(place.updates),
    )  # fmt: skip


def ours(place: Place, stage: str, method: str, *more: str) -> tuple[str, ...]:
    """fairseq-train with this package: a stage (``generation``, ``denoising``) of a row."""
    folder, shape = place.folder, place.shape
    components: tuple[str, ...] = ()
    if method == "laft":
        components = ("--language-components", str(folder / "c.safetensors"))
    languages = "en_XX" if stage == "generation" else "en_XX,fr_XX"
    return (
        *TRAIN, str(folder / "data-bin"), "--user-dir", "laft_fairseq", "--task", f"laft_{stage}",
        "--arch", shape.arch, "--method", method, "--backbone", str(folder / "model.pt"),
        *components, "--train-langs", languages, "--criterion", "cross_entropy",
        "--dropout", "0.1", "--attention-dropout", "0.1", *OPTIMISER, *QUIET, *place.device,
        "--batch-size", str(shape.batch), "--max-update", str(place.updates), *more,
    )  # fmt: skip


def transformers(place: Place, source: int, target: int, *more: str) -> tuple[str, ...]:
    """The steps of transformers' Trainer on its own MBart: full finetuning."""
    shape = place.shape
    numbers = {
        "layers": shape.layers, "d": shape.d, "ffn": shape.ffn, "heads": shape.heads,
        "vocabulary": shape.pieces + 4, "batch": shape.batch, "source": source, "target": target,
        "updates": place.updates,
    }  # fmt: skip
    flags = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    return (*STEPS, *flags, *(("--cuda",) if place.cuda else ()), *more)
