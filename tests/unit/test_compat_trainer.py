"""Which batches fairseq's trainer is handed; what a resumed run says is in integration."""

from argparse import Namespace
from typing import Any

import pytest

from laft_fairseq import compat_trainer

REAL: dict[str, int] = {"id": 1}


@pytest.mark.parametrize(
    ("samples", "kept"),
    [
        ([REAL, REAL], [REAL, REAL]),
        ([REAL, {}], [REAL]),
        ([{}, {}], [{}, {}]),
        ([REAL, REAL, {}, None], [REAL, REAL]),
    ],
)
def test_empty_batches_are_left_out_where_there_are_others(
    samples: list[Any], kept: list[Any]
) -> None:
    def handed(**attributes: Any) -> Any:
        trainer = Namespace(is_fsdp=attributes.pop("is_fsdp", False), task=Namespace(**attributes))
        return compat_trainer.train_step(lambda own, samples: samples, trainer, samples)

    assert handed(stage="generation") == kept
    assert handed() == samples  # another plug-in's task
    assert handed(stage="generation", is_fsdp=True) == samples  # each process has to take part


def test_fairseq_is_patched_once() -> None:
    from fairseq.trainer import Trainer

    compat_trainer.apply()
    before = Trainer.train_step, Trainer.load_checkpoint
    compat_trainer.apply()
    assert (Trainer.train_step, Trainer.load_checkpoint) == before
    assert all(method.laft for method in before)
