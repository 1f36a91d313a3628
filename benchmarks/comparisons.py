"""What each name of `benchmarks/run.py` compares: commands of its systems, and its baselines."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import System
from benchmarks.shapes import BATCHES, LONGEST, SHAPES, Shape

PRECISIONS = (("fp32", "none"), ("bf16", "bf16"))  # name, --autocast
FAIRSEQ = "fairseq, mBART (full), fp32"
TRANSFORMERS = "transformers, MBart (full), fp32"
TRANSFORMERS_BF16 = "transformers, MBart (full), bf16"
TRAINING = (
    "--criterion cross_entropy --dropout 0.1 --attention-dropout 0.1 --optimizer adam --lr 1e-5 "
    "--clip-norm 0.1 --no-save --disable-validation --no-progress-bar --log-interval 1 "
    "--num-workers 0 --seed 1 --max-epoch 1000"
)


@dataclass(frozen=True)
class Setting:
    """What the commands of a comparison share."""

    work: Path
    shape_name: str
    batch: int
    updates: int
    cuda: bool = False
    real_lengths: bool = False

    @property
    def name(self) -> str:
        """The name of the folder of data and weights."""
        return f"{self.shape_name}{'-real' if self.real_lengths else ''}"

    @property
    def shape(self) -> Shape:
        """The model's shape."""
        return SHAPES[self.shape_name]

    @property
    def folder(self) -> str:
        """The folder of data and weights, made by benchmarks/data.py, as a word of a command."""
        return shlex.quote(str(self.work.absolute() / self.name))

    @property
    def fairseq_train(self) -> str:
        """fairseq-train; on a GPU it prints its peak memory."""
        return f"python -m {'benchmarks.steps fairseq-train' if self.cuda else 'fairseq_cli.train'}"

    @property
    def device(self) -> str:
        """The option of a machine without a GPU, of fairseq-train and laft."""
        return "" if self.cuda else "--cpu"

    @property
    def max_tokens(self) -> int:
        """Most tokens of a batch of real lengths, padding included; 0 for a fixed length."""
        return max(self.batch * self.shape.source, LONGEST) if self.real_lengths else 0

    @property
    def batches(self) -> str:
        """The option of a batch's size, of fairseq-train and of the programs here."""
        tokens = self.max_tokens
        return f"--max-tokens {tokens}" if tokens else f"--batch-size {self.batch}"

    @property
    def steps(self) -> str:
        """Options of the programs in steps.py and decoding.py."""
        cuda = " --cuda" if self.cuda else ""
        return f"--shape {self.shape_name} {self.batches} --updates {self.updates}{cuda}"

    def training(self, data: str, options: str) -> str:
        """Returns a command of fairseq-train."""
        return (
            f"{self.fairseq_train} {self.folder}/{data} {options} {TRAINING} {self.device} "
            f"{self.batches} --max-update {self.updates}"
        )

    def fairseq(self, data: str) -> str:
        """Returns full finetuning by plain fairseq: its own task, model and criterion."""
        return self.training(
            data,
            f"--task translation -s src -t tgt --arch mbart_large {self.shape.flags} "
            "--encoder-normalize-before --encoder-learned-pos --decoder-normalize-before "
            "--decoder-learned-pos --share-all-embeddings --layernorm-embedding "
            "--max-source-positions 1024 --max-target-positions 1024",
        )

    def laft(self, stage: str, method: str, options: str) -> str:
        """Returns training by this package: a stage (``generation``, ``denoising``) of a method."""
        langs = "en_XX" if stage == "generation" else "en_XX,fr_XX"
        if method == "laft":
            options += f" --language-components {self.folder}/c.safetensors"
        return self.training(
            "data-bin",
            f"--user-dir laft_fairseq --task laft_{stage} --arch {self.shape.arch} "
            f"--method {method} --backbone {self.folder}/model.pt --train-langs {langs} {options}",
        )

    def transformers(self, data: str) -> str:
        """Returns full finetuning by transformers: its MBart, stepped as its Trainer does."""
        return f"python -m benchmarks.steps transformers {self.steps} --data {self.folder}/{data}"


def ours(setting: Setting, stage: str) -> list[System]:
    """Returns full training and LAFT's by this package, in fp32 and in bf16."""
    return [
        System(f"{method}, {name}", setting.laft(stage, method, f"--autocast {precision}"))
        for method in ("mbart_full", "laft")
        for name, precision in PRECISIONS
    ]


def stage1(setting: Setting) -> list[System]:
    """Returns LAFT's stage 1 and continued pretraining."""
    return [
        System(FAIRSEQ, setting.fairseq("stock-stage1")),
        System(TRANSFORMERS, setting.transformers("stock-stage1")),
        *ours(setting, "denoising"),
    ]


def stage2(setting: Setting) -> list[System]:
    """Returns LAFT's stage 2, with and without a cache of the encoder's output, and finetuning."""
    transformers = setting.transformers("stock")
    systems = [
        System(FAIRSEQ, setting.fairseq("stock")),
        System(TRANSFORMERS, transformers),
        System(TRANSFORMERS_BF16, f"{transformers} --bf16"),
        *ours(setting, "generation"),
    ]
    for name, precision in PRECISIONS:
        cache = f"{setting.folder}/encoder-cache-{name}-{setting.batch}x{setting.updates}"
        options = f"--autocast {precision} --encoder-cache {cache}"
        command = setting.laft("generation", "laft", options)
        systems.append(System(f"laft, {name}, encoder cached", command, warm_up=True))
    return systems


def decode(setting: Setting) -> list[System]:
    """Returns beam searches over the same sources with the same weights."""
    program = f"python -m benchmarks.decoding {setting.folder} {setting.steps} --system "
    systems = [
        System("fairseq", f"{program}fairseq"),
        System("transformers", f"{program}transformers"),
    ]
    if not setting.cuda:
        systems.append(System("ctranslate2", f"{program}ctranslate2", needs="ctranslate2"))
    ours = ("mbart_full", "laft", "mbart_full-half", "laft-half")
    return [*systems, *(System(name, f"{program}{name}") for name in ours)]


def components(setting: Setting) -> list[System]:
    """Returns `laft components` and the encoder alone over the same batches."""
    options = (
        f"--backbone {setting.folder}/model.pt --data {setting.folder}/data-bin --langs en_XX "
        f"--max-sentences {BATCHES * setting.batch} {setting.device}"
    )
    command = f"laft components {options} --out {setting.folder}/measured.safetensors"
    return [
        System("encoder alone", f"python -m benchmarks.steps encoder {options}"),
        System("laft components", command, marks=r"^en_XX: (?!n =)|^wrote"),
    ]


def processes(setting: Setting) -> list[System]:
    """Returns the same updates, of two batches, by one process and by two."""
    alone = setting.laft("generation", "laft", "--autocast none --update-freq 2")
    systems = [System("1 process", alone, threads=1)]
    for backend in ("pytorch_ddp", "legacy_ddp"):
        command = setting.laft("generation", "laft", f"--autocast none --ddp-backend {backend}")
        launched = f"torchrun --standalone --nproc_per_node=2 {command.removeprefix('python ')}"
        systems.append(System(f"2 processes, {backend}", launched, threads=1))
    return systems


@dataclass(frozen=True)
class Comparison:
    """Systems, those that the others' times are divided by, and what a step is."""

    systems: Callable[[Setting], list[System]]
    baselines: tuple[str, ...]
    step: str


COMPARISONS: dict[str, Comparison] = {
    "stage1": Comparison(
        stage1, (FAIRSEQ, TRANSFORMERS, "mbart_full, fp32", "mbart_full, bf16"),
        "A training step, source and target of 128 tokens; fairseq's is its translation task on "
        "pairs of these lengths."),
    "stage2": Comparison(
        stage2, (FAIRSEQ, TRANSFORMERS, TRANSFORMERS_BF16), "A training step."),
    "decode": Comparison(
        decode, ("fairseq", "transformers", "ctranslate2", "mbart_full"),
        "Beam 5, a batch, in fp32; -half is bf16 on a CPU, fp16 on a GPU. Each search writes as "
        "many tokens as a target has, by a lower limit on length. laft is another model, whose "
        "outputs differ from the other systems'. ctranslate2 has no bf16 on a CPU."),
    "components": Comparison(
        components, ("encoder alone",), "All sentences in one pass, without loading the model."),
    "processes": Comparison(
        processes, ("1 process",),
        "An update of two batches; one thread a process. Memory is one process's."),
}  # fmt: skip
