"""Which contenders a name of `benchmarks/run.py` stands for, and what is asked of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data
from benchmarks.claims import Claim
from benchmarks.contenders import (
    Contender,
    Place,
    components,
    decoding,
    encoder_pass,
    loading,
    ours,
    saving,
    stock_fairseq,
    transformers,
)
from benchmarks.shapes import BEAM, search_work, work

FP32 = ("--autocast", "none")
BF16 = ("--autocast", "bf16")
PRECISIONS = (("fp32", FP32), ("bf16", BF16))
FAIRSEQ = "fairseq, mBART (full), fp32"
TRANSFORMERS = "transformers, MBart (full), fp32"
TRANSFORMERS_BF16 = "transformers, MBart (full), bf16"
COUNTS = (1_000, 10_000, 100_000)  # texts, for memory
SHORT = 20  # tokens of each of them


@dataclass(frozen=True)
class Suite:
    """Contenders, what they read, and what is asked of their ratios."""

    contenders: Callable[[Place], list[Contender]]
    claims: tuple[Claim, ...]
    about: str
    texts: tuple[int, int] | None = None  # more monolingual text: how many, tokens of each

    def prepare(self, place: Place) -> None:
        """Make data and weights where they are not there."""
        data.prepare(place.folder, place.shape, 32 * place.shape.batch)
        if self.texts is not None:
            data.write_more(texts_folder(place, self.texts[1]), place.shape, *self.texts)


def texts_folder(place: Place, length: int) -> Path:
    """Where more monolingual text of one length lies."""
    return place.folder / f"texts-{length}"


def stage2(place: Place) -> list[Contender]:
    """A step of stage 2 against full finetuning: fairseq's, transformers', ours."""
    counted, shape = work(place.shape), place.shape
    full = counted.full
    hugging_face = (place, shape.source, shape.target)
    needs = ("transformers",)
    return [
        Contender(FAIRSEQ, stock_fairseq(place), full),
        Contender(TRANSFORMERS, transformers(*hugging_face), full, needs=needs),
        Contender(TRANSFORMERS_BF16, transformers(*hugging_face, "--bf16"), full, needs=needs),
        Contender("mbart_full, fp32", ours(place, "generation", "mbart_full", *FP32), full),
        Contender("mbart_full, bf16", ours(place, "generation", "mbart_full", *BF16), full),
        Contender("laft, fp32", ours(place, "generation", "laft", *FP32), counted.stage2),
        Contender("laft, bf16", ours(place, "generation", "laft", *BF16), counted.stage2),
        *(cached(place, name, flags, counted.stage2_cached) for name, flags in PRECISIONS),
    ]


def cached(place: Place, name: str, precision: tuple[str, ...], gflop: float) -> Contender:
    """Stage 2 with the encoder's output read from a folder that an untimed run filled."""
    what = f"encoder-cache-{name}-{place.shape.batch}x{place.updates}"
    folder = ("--encoder-cache", str(place.folder / what))
    return Contender(
        f"laft, {name}, encoder cached", ours(place, "generation", "laft", *precision, *folder),
        gflop, fills=folder[1],
    )  # fmt: skip


STAGE2_CLAIMS = (
    Claim("laft, fp32", FAIRSEQ, "time", 0.60),
    Claim("laft, fp32", FAIRSEQ, "memory", 0.35),
    Claim("laft, fp32, encoder cached", FAIRSEQ, "time", 0.40),
    Claim("laft, bf16", FAIRSEQ, "time", 0.30),
    Claim("laft, bf16, encoder cached", FAIRSEQ, "time"),
    Claim("laft, fp32", TRANSFORMERS, "time", 0.60),
    Claim("laft, fp32", TRANSFORMERS, "memory", 0.35),
    Claim("laft, fp32, encoder cached", TRANSFORMERS, "time", 0.40),
    Claim("laft, bf16", TRANSFORMERS, "time", 0.30),
    Claim("laft, bf16", TRANSFORMERS_BF16, "time", 0.60),
)


def stage1(place: Place) -> list[Contender]:
    """A step of stage 1 against continued pretraining: fairseq's, transformers', ours."""
    counted = work(place.shape, data.MONO, data.MONO)
    full, needs = counted.full, ("transformers",)
    lengths = (place, data.MONO, data.MONO)
    return [
        Contender(FAIRSEQ, stock_fairseq(place, "stock-stage1"), full),
        Contender(TRANSFORMERS, transformers(*lengths), full, needs=needs),
        Contender("mbart_full, fp32", ours(place, "denoising", "mbart_full", *FP32), full),
        Contender("mbart_full, bf16", ours(place, "denoising", "mbart_full", *BF16), full),
        Contender("laft, fp32", ours(place, "denoising", "laft", *FP32), counted.stage1),
        Contender("laft, bf16", ours(place, "denoising", "laft", *BF16), counted.stage1),
    ]


STAGE1_CLAIMS = tuple(
    Claim(row, against, kind)
    for row, against in (
        ("laft, fp32", FAIRSEQ),
        ("laft, fp32", "mbart_full, fp32"),
        ("laft, bf16", "mbart_full, bf16"),
    )
    for kind in ("time", "memory")
)


def decode(place: Place) -> list[Contender]:
    """Beam search over the same sources with the same weights; a step is a batch."""
    plain, laft = search_work(place.shape, BEAM)
    return [
        Contender("fairseq", decoding(place, "stock"), plain),
        Contender("transformers", decoding(place, "transformers"), plain, needs=("transformers",)),
        Contender("ctranslate2, float32", decoding(place, "ctranslate2"), plain,
                  needs=("ctranslate2", "transformers")),
        Contender("mbart_full", decoding(place, "mbart_full"), plain),
        Contender("laft", decoding(place, "laft"), laft),
    ]  # fmt: skip


DECODE_CLAIMS = (
    Claim("mbart_full", "fairseq", "time", 0.45),
    Claim("mbart_full", "transformers", "time", 0.75),
    Claim("mbart_full", "ctranslate2, float32", "time"),
    Claim("laft", "mbart_full", "time", 1.08),
)


def component_pass(place: Place) -> list[Contender]:
    """`laft components` against the encoder alone over the same batches; a step is the whole."""
    folder, count = texts_folder(place, data.MONO), 32 * place.shape.batch
    made = "^en_XX: .*texts of|^wrote"
    return [
        Contender("encoder alone", encoder_pass(place, folder, count)),
        Contender("laft components", components(place, folder, count), marks=made),
    ]


def component_memory(place: Place) -> list[Contender]:
    """`laft components` of more and more short texts: its peak must not grow."""
    folder = texts_folder(place, SHORT)
    return [
        Contender(f"{count} texts", components(place, folder, count),
                  marks="^en_XX: .*texts of|^wrote")
        for count in COUNTS
    ]  # fmt: skip


def sizes(place: Place) -> list[Contender]:
    """The checkpoint that a run of one update writes."""
    rows = {
        "fairseq, mBART (full)": stock_fairseq(place),
        "mbart_full, stage 2": ours(place, "generation", "mbart_full"),
        "laft, stage 1": ours(place, "denoising", "laft"),
        "laft, stage 2": ours(place, "generation", "laft"),
    }
    best = saving(place, "laft, stage 2, best", rows["laft, stage 2"], "best")
    return [*(saving(place, name, command) for name, command in rows.items()), best]


def data_loading(place: Place) -> list[Contender]:
    """Making the batches of a stage against the whole step that reads them."""
    rows = []
    for number, stage in ((1, "denoising"), (2, "generation")):
        rows += [
            Contender(f"stage {number}, step, bf16", ours(place, stage, "laft", *BF16)),
            Contender(f"stage {number}, its batches", loading(place, stage)),
        ]
    return rows


def processes(place: Place) -> list[Contender]:
    """The same updates, of two batches, in one process and in two; one thread each."""
    rows = []
    for backend in ("pytorch_ddp", "legacy_ddp"):
        more = (*FP32, "--ddp-backend", backend)
        alone = ours(place, "generation", "laft", *more, "--update-freq", "2")
        both = ours(place, "generation", "laft", *more)
        launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone",
                    "--nproc_per_node=2", "-m")  # fmt: skip
        if not rows:
            rows.append(Contender("1 process", alone, threads=1))
        rows.append(Contender(f"2 processes, {backend}", (*launcher, *both[2:]), threads=1))
    return rows


SUITES: dict[str, Suite] = {
    "stage1": Suite(stage1, STAGE1_CLAIMS, "A training step, source and target of 128 tokens; "
                    "fairseq's is its translation task on pairs of these lengths."),
    "stage2": Suite(stage2, STAGE2_CLAIMS, "A training step."),
    "decode": Suite(decode, DECODE_CLAIMS, "Beam 5, a batch; each search writes as many tokens as "
                    "a target has, by a lower limit on its length. laft is another model, whose "
                    "outputs are its own."),
    "components": Suite(component_pass, (Claim("laft components", "encoder alone", "time", 1.03),),
                        "All texts in one pass, without loading the model.", (1024, data.MONO)),
    "components-memory": Suite(
        component_memory, (Claim("100000 texts", "1000 texts", "memory", 1.05),),
        "Texts of 20 tokens.", (COUNTS[-1], SHORT)),
    "sizes": Suite(sizes, (Claim("laft, stage 2", "fairseq, mBART (full)", "disk", 0.05),
                           Claim("laft, stage 2, best", "fairseq, mBART (full)", "disk", 0.05),
                           Claim("laft, stage 1", "fairseq, mBART (full)", "disk")),
                   "Time is of the whole command: start, one update, saving. The last checkpoint, "
                   "with optimizer states, unless the best is named."),
    "loading": Suite(
        data_loading, (Claim("stage 1, its batches", "stage 1, step, bf16", "time"),
                       Claim("stage 2, its batches", "stage 2, step, bf16", "time")),
        "Batches are made in the same process (--num-workers 0)."),
    "processes": Suite(
        processes, tuple(Claim(f"2 processes, {backend}", "1 process", "time", 1 / 1.8)
                         for backend in ("pytorch_ddp", "legacy_ddp")),
        "An update of two batches; one thread a process. Memory is one process's."),
}  # fmt: skip
