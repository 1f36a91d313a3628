"""Batches as fairseq's trainer gets them; resuming is tested in integration."""

from argparse import Namespace
from typing import Any

import pytest
import torch
from fairseq.optim.amp_optimizer import AMPOptimizer
from torch import Tensor

from laft_fairseq.compat import trainer as compat_trainer
from tests import tiny

REAL: dict[str, int] = {"id": 1}
OTHER: dict[str, int] = {"id": 2}


@pytest.mark.parametrize(
    ("samples", "ordered"),
    [
        ([REAL, REAL], [REAL, REAL]),
        ([REAL, {}], [{}, REAL]),
        ([{}, {}], [{}, {}]),
        ([REAL, OTHER, {}, None], [{}, None, REAL, OTHER]),
    ],
)
def test_empty_batches_come_first(samples: list[Any], ordered: list[Any]) -> None:
    """As many as before, as each process has to take part in each."""

    def handed(**attributes: Any) -> Any:
        trainer = Namespace(task=Namespace(**attributes))
        return compat_trainer.train_step(lambda own, samples: samples, trainer, samples)

    assert handed(stage="generation") == ordered
    assert handed() == samples  # another plug-in's task


class Plain:
    """An optimizer of which only the backward pass is asked."""

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]


class Amp(AMPOptimizer):
    """--amp's kind."""

    def __init__(self) -> None:
        self.backward = Plain().backward


@pytest.mark.parametrize("optimizer", [Plain(), Amp()])
@pytest.mark.parametrize("empty", [True, False])
def test_an_empty_batch_counts_nothing(optimizer: Any, empty: bool) -> None:
    """It goes forward and backward with the stand-in batch that fairseq gives it."""
    built, task = tiny.model(), tiny.task("generation")
    weight = built.encoder.embed_tokens.weight

    def criterion(model: Any, sample: Any) -> Any:
        logging_output = {"loss": torch.tensor(3.0), "ntokens": 7, "nll_loss": 2.5}
        return (weight * 2).sum(), 7, logging_output

    weight.requires_grad = True
    _, size, logging_output = task.train_step({}, built, criterion, optimizer, 1, ignore_grad=empty)
    assert set(weight.grad.unique().tolist()) == ({0.0} if empty else {2.0})
    expected = (0, 0.0, 0, 0.0) if empty else (7, 3.0, 7, 2.5)
    assert (
        size,
        float(logging_output["loss"]),
        logging_output["ntokens"],
        logging_output["nll_loss"],
    ) == expected
