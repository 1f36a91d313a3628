"""Steps that several recipes share, by themselves: what they call, and how they are asked for."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALLED = """
METHODS="laft mbart_full tm_adv" OUT=out LANGS=en_XX,fr_XX,zh_CN REMOVAL=scaled
STAGE2_LR=1 FULL_LR=2 STAGE2_UPDATES=3
source examples/ddtp/steps.sh
train() { echo "$@"; }
for method in $METHODS; do stage2 $method; done
"""


def bash(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_each_row_is_trained_as_what_it_is() -> None:
    """TM + adv with its adversary and its target rows, the others without."""
    done = bash(CALLED)
    assert done.returncode == 0, done.stderr
    laft, full, adversarial = done.stdout.splitlines()
    assert "--criterion cross_entropy" in laft and "--finetune-from-model" in laft
    assert "--criterion cross_entropy" in full and "--finetune-from-model" not in full
    for words in ("--method tm_adv", "--criterion laft_adversarial", "--label-smoothing 0.1",
                  "--target-langs fr_XX,zh_CN", "--max-tokens 8192"):  # fmt: skip
        assert words in adversarial
    assert "cross_entropy" not in adversarial


@pytest.mark.parametrize("recipe", ["ddtp/run.sh", "ddtp/demo.sh", "qg/run.sh", "xgiga/run.sh"])
def test_help_starts_nothing(recipe: str) -> None:
    done = bash(f"cd / && {ROOT}/examples/{recipe} --help")
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.count("\n") >= 1 and "[" not in done.stdout.split("\n")[0]
    refused = bash(f"examples/{recipe} now")
    assert refused.returncode == 1
    assert (
        refused.stderr
        == f"examples/{recipe}: now: settings are variables in the environment (--help)\n"
    )
