"""Processes that were started differently are refused; the first one is simulated."""

from argparse import Namespace
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist

from laft_fairseq.errors import LaftError
from laft_fairseq.training import rank_consistency
from tests import tiny

Values = dict[str, Any]


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Values], Values]], None]:
    """A function that makes this process the second of two: the first has what it is given."""

    def play(values_of_first: Callable[[Values], Values]) -> None:
        def gather(gathered: list[Any], mine: tuple[str, Values]) -> None:
            gathered[:] = [("host0", values_of_first(dict(mine[1]))), mine]

        monkeypatch.setattr(dist, "is_initialized", lambda: True)
        monkeypatch.setattr(dist, "get_world_size", lambda: 2)
        monkeypatch.setattr(dist, "all_gather_object", gather)

    return play


def test_what_differs_is_named(first: Any) -> None:
    """But for paths: machines may keep their data in different places."""
    first(lambda mine: {"lr": "0.1", "seed": "1", "data": "/a/bin"})
    with pytest.raises(
        LaftError, match=r"process 1 on .* lr is 0.2 there and 0.1 in .*, seed is absent .*; start"
    ) as error:
        rank_consistency.expect_same({"lr": "0.2", "data": "/b/bin"}, "start them alike")
    assert "bin" not in str(error.value)


def test_the_same_passes(first: Any) -> None:
    first(dict)
    rank_consistency.expect_same({"lr": "0.1", "sum": 1.0}, "")


def test_options_are_compared_but_for_a_processs_own(first: Any) -> None:
    """The model's are no dictionary: fairseq keeps them as argparse gave them."""
    cfg = SimpleNamespace(
        optimization={"lr": [0.1]},
        distributed_training={"distributed_rank": 1, "device_id": 1},
        model=Namespace(removal="scaled", distributed_rank=1),
        bpe=None,
    )
    compared: Values = {}
    first(lambda mine: compared.update(mine) or mine)
    rank_consistency.expect_same_options(cfg)
    assert compared.pop("torch") == torch.__version__
    assert compared.pop("laft_fairseq")
    assert compared == {"lr": "[0.1]", "removal": '"scaled"'}


@pytest.mark.parametrize("name", ["decoder.layers.0.fc1.weight", "language_components.fr_XX"])
def test_other_contents_of_the_model_are_named(first: Any, name: str) -> None:
    """Parameters, and language components, which are buffers; rounding is no difference."""
    model = tiny.model(method="laft")
    first(lambda mine: {key: value * (1 + 1e-7) for key, value in mine.items()})
    rank_consistency.expect_same_model(model)
    first(lambda mine: {k: v * 1.001 if name in k else v for k, v in mine.items()})
    with pytest.raises(LaftError, match=rf"{name}.* is .* there .* same backbone"):
        rank_consistency.expect_same_model(model)


def test_one_process_is_not_asked() -> None:
    rank_consistency.expect_same_model(torch.nn.Linear(1, 1))
    rank_consistency.expect_same_options(None)
