"""One warning names the options that the trained method has no use for."""

import logging
from argparse import Namespace
from typing import Any

import pytest
from fairseq.models import ARCH_CONFIG_REGISTRY

from laft_fairseq.method.systems import METHODS
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_task import LaftTask
from laft_fairseq.tasks.unused_options import MODULES, unused_options
from tests import tiny

OTHERS = {"removal": "projection", "fusion_input": "mean", "fusion_dim": 8, "adapter_norm": "none",
          "adapter_langs": "en_XX", "language_adapter_dim": 4, "task_module_init": "random",
          "task_module_layers": 1, "task_adapter_reduction": 8}  # fmt: skip
OF_TASK_MODULE = {"task_module_init", "task_module_layers"}


def args(arch: str = "laft_mbart_tiny", **options: Any) -> Namespace:
    """As fairseq-train hands them over."""
    given = Namespace(arch=arch, **options)
    ARCH_CONFIG_REGISTRY[arch](given)
    return given


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("arch", ["laft_mbart", "laft_mbart_mini", "laft_mbart_tiny"])
def test_nothing_is_said_of_defaults(method: str, arch: str) -> None:
    assert unused_options(args(arch, method=method)) == {}


@pytest.mark.parametrize(
    ("method", "used"),
    [
        ("laft", set(OTHERS) - {"task_adapter_reduction"}),
        ("tm_adv", OF_TASK_MODULE),
        ("mbart_full", set()),
        ("adapter", {"task_adapter_reduction"}),
    ],
)
def test_each_method_has_its_own(method: str, used: set[str]) -> None:
    assert set(OTHERS) == set(MODULES)
    actual = unused_options(args(method=method, **OTHERS))
    names = {option.split()[0].removeprefix("--").replace("-", "_") for option in actual}
    assert names == set(OTHERS) - used


def test_the_warning_is_one_line_before_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(LAFTMBart, "start", lambda *a: None)
    given = {"max_source_positions": 64, "max_target_positions": 64, "task": "laft_generation"}
    task = tiny.task()
    options = {"method": "tm_adv", "removal": "projection", "task_adapter_reduction": 8}
    for from_checkpoint in (True, False):
        with caplog.at_level(logging.WARNING):
            LaftTask.build_model(task, args(**given, **options), from_checkpoint)
    assert caplog.messages == [
        "--method tm_adv ignores --removal projection (used by laft), --task-adapter-reduction 8 "
        "(used by adapter)"
    ]
