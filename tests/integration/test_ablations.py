"""The baseline Adapter and LAFT's ablations by the real commands: both stages, then generation."""

from pathlib import Path

import pytest
import torch

from laft_fairseq.checkpoints.header import pop_header
from tests import tiny
from tests.integration.conftest import SAVING, Run

ALONE = ("--removal", "none", "--fusion-input", "none", "--language-adapter-dim", "0",
         "--mask-source-tag")  # fmt: skip
ADAPTERS = {
    f"{side}.layers.{layer}.task_adapter.{linear}.{part}"
    for side in ("encoder", "decoder")
    for layer in range(2)
    for linear in ("down", "up")
    for part in ("weight", "bias")
}
TASK_MODULE = {name for name, _ in tiny.model().named_parameters() if ".task_module." in name}


def both_stages(laft: Run, home: Path, *flags: str) -> tuple[Path, Path]:
    """Stage 1 on all text, stage 2 on English, with the same flags."""
    shared = ("--backbone", str(laft.backbone), *flags, *SAVING)
    paths = home / "stage1" / "checkpoint_last.pt", home / "stage2" / "checkpoint_last.pt"
    tiny.train(laft.data, paths[0].parent, "denoising", *shared, "--max-update", "2")
    start = ("--finetune-from-model", paths[0], "--train-langs", "en_XX", "--max-update", "2")
    tiny.train(laft.data, paths[1].parent, "generation", *shared, *map(str, start))
    return paths


@pytest.mark.parametrize(
    ("flags", "names"),
    [(("--method", "adapter", "--task-adapter-reduction", "2"), ADAPTERS), (ALONE, TASK_MODULE)],
)
def test_both_stages_and_generation(
    laft: Run, tmp_path: Path, flags: tuple[str, ...], names: set[str]
) -> None:
    """Exactly the named parameters are saved, optimised and moved; every text gets an output."""
    states = []
    for path in both_stages(laft, tmp_path, *flags):
        content = torch.load(path, weights_only=True)
        header, _ = pop_header(content["model"])
        assert header is not None
        assert (header.kind, header.mask_source_tag) == ("slim", "--mask-source-tag" in flags)
        assert {name for name in content["model"] if not name.endswith(".version")} == names
        assert len(content["last_optimizer_state"]["state"]) == len(names)
        states.append(content["model"])
    for name in names:
        if "k_proj.bias" not in name:  # softmax ignores it
            assert not torch.equal(states[0][name], states[1][name]), name
    path = tmp_path / "stage2" / "checkpoint_last.pt"
    lines = tiny.generate(laft.data, path, "--task", "laft_generation", "--gen-lang", "zh_CN",
                          "--beam", "2", "--max-len-b", "6")  # fmt: skip
    assert sorted(line.split("\t")[0] for line in lines if line.startswith("H-")) == [
        f"H-{number}" for number in range(5)
    ]
