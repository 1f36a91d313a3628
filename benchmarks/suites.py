"""Which contenders a name of `benchmarks/run.py` stands for."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.contenders import Contender, Place, ours, stock_fairseq, transformers
from benchmarks.data import prepare as prepare_data
from benchmarks.shapes import work

FP32 = ("--autocast", "none")
BF16 = ("--autocast", "bf16")
PRECISIONS = (("fp32", FP32), ("bf16", BF16))


def prepare(place: Place) -> None:
    """Data for eight updates an epoch."""
    prepare_data(place.folder, place.shape, 8 * place.shape.batch)


def stage2(place: Place) -> list[Contender]:
    """A step of stage 2 against full finetuning: fairseq's, transformers', ours."""
    counted, shape = work(place.shape), place.shape
    full = counted.full
    hugging_face = (place, shape.source, shape.target)
    return [
        Contender("fairseq, mBART (full), fp32", stock_fairseq(place), full),
        Contender("transformers, MBart (full), fp32", transformers(*hugging_face), full),
        Contender("transformers, MBart (full), bf16", transformers(*hugging_face, "--bf16"), full),
        Contender("mbart_full, fp32", ours(place, "generation", "mbart_full", *FP32), full),
        Contender("mbart_full, bf16", ours(place, "generation", "mbart_full", *BF16), full),
        Contender("laft, fp32", ours(place, "generation", "laft", *FP32), counted.stage2),
        Contender("laft, bf16", ours(place, "generation", "laft", *BF16), counted.stage2),
        *(cached(place, name, flags, counted.stage2_cached) for name, flags in PRECISIONS),
    ]


def cached(place: Place, name: str, precision: tuple[str, ...], gflop: float) -> Contender:
    """Stage 2 with the encoder's output read from a folder that an untimed run filled."""
    folder = ("--encoder-cache", str(place.folder / "encoder-cache"))
    return Contender(
        f"laft, {name}, encoder cached", ours(place, "generation", "laft", *precision, *folder),
        gflop, fills=folder[1],
    )  # fmt: skip


def stage1(place: Place) -> list[Contender]:
    """A step of stage 1 against continued pretraining."""
    counted = work(place.shape, 128, 128)
    return [
        Contender("mbart_full, fp32", ours(place, "denoising", "mbart_full", *FP32), counted.full),
        Contender("transformers, MBart (full), fp32", transformers(place, 128, 128), counted.full),
        Contender("mbart_full, bf16", ours(place, "denoising", "mbart_full", *BF16), counted.full),
        Contender("laft, fp32", ours(place, "denoising", "laft", *FP32), counted.stage1),
        Contender("laft, bf16", ours(place, "denoising", "laft", *BF16), counted.stage1),
    ]


SUITES: dict[str, Callable[[Place], list[Contender]]] = {"stage1": stage1, "stage2": stage2}
