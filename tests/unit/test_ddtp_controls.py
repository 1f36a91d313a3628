"""Controls of the tables' recipe: what their options make of the model."""

import pytest
import torch

from examples.ddtp.tables.controls import CONTROLS
from tests import tiny

SOURCE = tiny.rows(["\u2581w1 c1 </s> [en_XX]", "一 二 </s> [zh_CN]"])
PREVIOUS = tiny.rows(["[en_XX] \u2581w1", "[zh_CN] 一"], left=False)


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name, control in CONTROLS.items() if not control.staged])
def test_without_stage_1_other_languages_are_written_all_the_same(name: str) -> None:
    """As with fresh adapters of every language, which are the identity."""
    words = CONTROLS[name].options
    options = {flag[2:].replace("-", "_"): value
               for flag, value in zip(words[::2], words[1::2], strict=True)}  # fmt: skip
    width = int(options.pop("language_adapter_dim", 512))
    built = tiny.model(adapters=(), language_adapter_dim=width, **options)
    built.start(["en_XX"])
    every = tiny.model()
    for parameter_name, parameter in built.named_parameters():
        parameter.copy_(every.get_parameter(parameter_name))
    assert torch.equal(built(SOURCE, None, PREVIOUS)[0], every(SOURCE, None, PREVIOUS)[0])
