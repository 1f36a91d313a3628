"""The commands that are compared, each as a user would run it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.shapes import SHAPES, Shape

STEPS = (sys.executable, "-m", "benchmarks.transformers_steps")
OPTIMISER = ("--optimizer", "adam", "--lr", "1e-5", "--clip-norm", "0.1")
NO_SAVE = "--no-save"
QUIET = (NO_SAVE, "--disable-validation", "--no-progress-bar", "--log-interval", "1",
         "--num-workers", "0", "--seed", "1", "--max-epoch", "1000")  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """One row: its name, the command, and the work of a sample in GFLOP, where it was counted."""

    name: str
    command: tuple[str, ...]
    gflop: float = 0.0
    fills: str = ""  # a folder that an untimed run of the command fills first, if it is not there
    needs: tuple[str, ...] = ()  # packages beyond requirements.txt; skipped where one is missing
    marks: str = ""  # expression of the lines between which it is timed; else those of updates
    threads: int = 0  # other than the runner's
    writes: str = ""  # a file whose size counts; its folder is emptied before each run


@dataclass(frozen=True)
class Place:
    """What a command needs to know."""

    folder: Path
    shape: Shape
    updates: int
    cuda: bool = False

    @property
    def name(self) -> str:
        """The shape's, as on the command line."""
        return next(name for name, shape in SHAPES.items() if shape.arch == self.shape.arch)

    @property
    def train(self) -> tuple[str, ...]:
        """fairseq-train; on an accelerator it says how much it took there."""
        module = "benchmarks.fairseq_train" if self.cuda else "fairseq_cli.train"
        return (sys.executable, "-m", module)

    @property
    def device(self) -> tuple[str, ...]:
        """The flag of a machine without an accelerator."""
        return () if self.cuda else ("--cpu",)


def stock_fairseq(place: Place, pairs: str = "stock") -> tuple[str, ...]:
    """Plain fairseq, its own task, model and criterion: full finetuning."""
    shape = place.shape
    sides = []
    for side in ("encoder", "decoder"):
        sides += [f"--{side}-layers", str(shape.layers), f"--{side}-embed-dim", str(shape.d),
                  f"--{side}-ffn-embed-dim", str(shape.ffn),
                  f"--{side}-attention-heads", str(shape.heads),
                  f"--{side}-normalize-before", f"--{side}-learned-pos"]  # fmt: skip
    return (
        *place.train, str(place.folder / pairs), "--task", "translation", "-s", "src", "-t", "tgt",
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
        *place.train, str(folder / "data-bin"), "--user-dir", "laft_fairseq",
        "--task", f"laft_{stage}", "--arch", shape.arch, "--method", method,
        "--backbone", str(folder / "model.pt"),
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


def decoding(place: Place, who: str) -> tuple[str, ...]:
    """Beam search by fairseq (``stock``), transformers, CTranslate2 or a row of ours."""
    shape = place.shape
    return (
        sys.executable, "-m", "benchmarks.decode_steps", who, str(place.folder),
        "--shape", place.name, "--batch", str(shape.batch), "--tokens", str(shape.target),
        "--updates", str(place.updates), *(("--cuda",) if place.cuda else ()),
    )  # fmt: skip


def _of_texts(place: Place, data: Path, count: int) -> tuple[str, ...]:
    return (
        "--backbone", str(place.folder / "model.pt"), "--data", str(data), "--langs", "en_XX",
        "--max-sentences", str(count), *place.device,
    )  # fmt: skip


def components(place: Place, data: Path, count: int) -> tuple[str, ...]:
    """`laft components` of the first ``count`` texts."""
    out = str(place.folder / "measured.safetensors")
    return (sys.executable, "-m", "laft_fairseq.cli", "components", *_of_texts(place, data, count),
            "--out", out)  # fmt: skip


def encoder_pass(place: Place, data: Path, count: int) -> tuple[str, ...]:
    """The encoder over the same batches, and nothing else."""
    return (sys.executable, "-m", "benchmarks.encoder_pass", *_of_texts(place, data, count))


def loading(place: Place, stage: str) -> tuple[str, ...]:
    """A stage's batches, made and thrown away."""
    return (
        sys.executable, "-m", "benchmarks.loading_steps", stage, str(place.folder / "data-bin"),
        "--batch", str(place.shape.batch), "--updates", str(3 * place.updates),
    )  # fmt: skip


def saving(place: Place, name: str, command: tuple[str, ...], kind: str = "last") -> Contender:
    """A training command that saves after one update of one text, the ``last`` or the ``best``."""
    folder = place.folder / "sizes" / "".join(c if c.isalnum() else "-" for c in name)
    changed = {"--max-update": "1", "--batch-size": "1"}
    left_out = {NO_SAVE, *(("--disable-validation",) if kind == "best" else ())}
    words = [word for word in command if word not in left_out]
    for option, value in changed.items():
        words[words.index(option) + 1] = value
    save = ("--save-dir", str(folder), "--no-epoch-checkpoints")
    return Contender(name, (*words, *save), writes=str(folder / f"checkpoint_{kind}.pt"))
