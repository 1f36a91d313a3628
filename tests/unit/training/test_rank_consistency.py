"""Processes that were started differently say so; the other process is played by its words."""

import json
from argparse import Namespace
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist

from laft_fairseq.errors import LaftError
from laft_fairseq.training import rank_consistency as agreement
from tests import tiny


@pytest.fixture
def process_1(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is the second of two, though alone in its group."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    monkeypatch.setattr(dist, "get_world_size", lambda *_: 2)
    monkeypatch.setattr(dist, "get_rank", lambda *_: 1)
    yield
    monkeypatch.undo()
    dist.destroy_process_group()


def first_says(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    monkeypatch.setattr(agreement, "_of_first", lambda own: json.dumps(values))


@pytest.mark.usefixtures("process_1")
def test_what_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    first_says(monkeypatch, {"lr": "0.1", "seed": "1", "data": "/a/bin"})
    with pytest.raises(
        LaftError, match=r"process 1 on .* lr is 0.2 here and 0.1 there, seed is absent .*; start"
    ) as error:
        agreement.expect_same({"lr": "0.2", "data": "/b/bin"}, "start them alike")
    assert "bin" not in str(error.value)  # machines may keep their data in different places


@pytest.mark.usefixtures("process_1")
def test_the_same_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    first_says(monkeypatch, {"lr": "0.1"})
    agreement.expect_same({"lr": "0.1"}, "")


@pytest.mark.usefixtures("process_1")
def test_a_difference_elsewhere_ends_this_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    first_says(monkeypatch, {"lr": "0.1"})
    monkeypatch.setattr(dist, "all_reduce", lambda tensor, op: tensor.fill_(1))
    with pytest.raises(LaftError, match="another process does not agree"):
        agreement.expect_same({"lr": "0.1"}, "")


@pytest.mark.usefixtures("process_1")
def test_options_are_compared_but_for_a_processs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's are no dictionary: fairseq keeps them as argparse gave them."""
    cfg = SimpleNamespace(
        optimization={"lr": [0.1]},
        distributed_training={"distributed_rank": 1, "device_id": 1},
        model=Namespace(removal="scaled", distributed_rank=1),
        bpe=None,
    )
    said: dict[str, str] = {}
    monkeypatch.setattr(agreement, "expect_same", lambda values, remedy: said.update(values))
    agreement.expect_same_options(cfg)
    assert said.pop("torch") == torch.__version__
    assert said.pop("laft_fairseq")
    assert said == {"lr": "[0.1]", "removal": '"scaled"'}


@pytest.mark.usefixtures("process_1")
def test_other_parameters_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding is no difference."""
    model = torch.nn.Linear(2, 2)
    monkeypatch.setattr(agreement, "_of_first", lambda own: own.replace("other", "first's"))
    monkeypatch.setattr(dist, "broadcast", lambda tensor, src: tensor.mul_(1 + 1e-7))
    agreement.expect_same_model(model)
    monkeypatch.setattr(
        agreement, "_of_first", lambda own: own.replace("of other contents", "as in process 0")
    )
    monkeypatch.setattr(dist, "broadcast", lambda tensor, src: tensor[0].mul_(1.001))
    with pytest.raises(LaftError, match=r"weight is of other contents here .* same backbone"):
        agreement.expect_same_model(model)


@pytest.mark.usefixtures("process_1")
def test_other_language_components_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are buffers, and their files' paths are not compared."""
    model = tiny.model(method="laft")

    def of_first(tensor: torch.Tensor, src: int) -> None:
        names = [name for name, _ in model.named_parameters()]
        tensor[len(names) :].mul_(1.001)

    monkeypatch.setattr(
        agreement, "_of_first", lambda own: own.replace("of other contents", "as in process 0")
    )
    agreement.expect_same_model(model)
    monkeypatch.setattr(dist, "broadcast", of_first)
    with pytest.raises(LaftError, match=r"components is of other contents .* components"):
        agreement.expect_same_model(model)


def test_one_process_is_not_asked() -> None:
    agreement.expect_same_model(torch.nn.Linear(1, 1))
    agreement.expect_same_options(None)
