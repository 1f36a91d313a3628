"""What is said of options that the trained system does not use."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from fairseq.models import ARCH_CONFIG_REGISTRY

from laft_fairseq.method.systems import METHODS
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.models.options import MODULES, warn_of_unused
from laft_fairseq.tasks.laft_task import LaftTask
from tests import tiny

OTHERS = {"removal": "projection", "fusion_input": "mean", "fusion_dim": 8, "adapter_norm": "none",
          "adapter_langs": "en_XX", "language_adapter_dim": 4, "task_module_init": "random",
          "task_module_layers": 1, "task_adapter_reduction": 8, "lora_rank": 4}  # fmt: skip
OF_TASK_MODULE = {"task_module_init", "task_module_layers"}


def args(arch: str = "laft_mbart_tiny", **options: Any) -> Namespace:
    """As fairseq-train hands them over."""
    given = Namespace(arch=arch, **options)
    ARCH_CONFIG_REGISTRY[arch](given)
    return given


def test_nothing_is_said_of_defaults(caplog: pytest.LogCaptureFixture) -> None:
    for method in METHODS:
        for arch in ("laft_mbart", "laft_mbart_mini", "laft_mbart_tiny"):
            warn_of_unused(args(arch, method=method))
    assert not caplog.text


@pytest.mark.parametrize(
    ("method", "used"),
    [
        ("laft", set(OTHERS) - {"task_adapter_reduction", "lora_rank"}),
        ("tm_adv", OF_TASK_MODULE),
        ("mbart_full", set()),
        ("adapter", {"task_adapter_reduction"}),
        ("lora", {"lora_rank"}),
    ],
)
def test_one_line_names_what_a_system_does_not_use(
    method: str, used: set[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before a training, not of a checkpoint in use."""
    assert set(OTHERS) == set(MODULES)
    monkeypatch.setattr(LAFTMBart, "start", lambda *a: None)
    given = args(method=method, task="laft_generation", max_source_positions=64,
                 max_target_positions=64, **OTHERS)  # fmt: skip
    for from_checkpoint in (True, False):
        LaftTask.build_model(tiny.task(), given, from_checkpoint)
    (line,) = caplog.messages
    named = {word[2:].replace("-", "_") for word in line.split() if word.startswith("--")}
    assert named == set(OTHERS) - used | {"method"}


@pytest.mark.parametrize(
    ("options", "said"), [({"removal": "none"}, True), ({"method": "tm_adv"}, True), ({}, False)]
)
def test_components_that_are_not_read_are_named(
    options: dict[str, str], said: bool, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    path, read = str(tmp_path / "c.safetensors"), []
    built = tiny.model(language_components=path, **options)
    monkeypatch.setattr(built, "load_components", lambda *given: read.append(given))
    built.start(["en_XX"])
    assert (path in caplog.text) is said
    assert bool(read) is not said
