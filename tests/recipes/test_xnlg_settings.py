"""The paper's settings, as xgiga and xqg give them to the commands when no variable is set.

Only the recipes are real here: stand-ins of the commands write down what they are called with.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import PolynomialDecayLRScheduleConfig

ROOT = Path(__file__).parents[2]
LOG = '#!/usr/bin/env bash\nset -euo pipefail\necho "${0##*/} $*" >> "$LOG"\n'
OPTION = 'value() { local name=$1; shift; while [ "$1" != "$name" ]; do shift; done; echo "$2"; }\n'
DATA = 'mkdir -p "$(value --out "$@")"\n'
TRAIN = """
folder=$(value --save-dir "$@")
touch "$folder/checkpoint_best.pt"
case $(value --lr "$@") in 3e-5) rouge=21.5 ;; *) rouge=9.7 ;; esac
[ "$rouge" = "${LOST:-}" ] ||
  echo "epoch 001 | valid on 'valid' subset | loss 2 | rougeL $rouge | num_updates 9"
"""
COMMANDS = {
    "preprocess/xgiga.sh": DATA,
    "preprocess/xqg.sh": DATA,
    "bin/fairseq-train": TRAIN,
    "bin/fairseq-generate": "",
    "bin/laft": 'case $1 in components) touch "$(value --out "$@")" ;;\n'
    '*) touch "$(value --json "$@")" ;; esac\n',
    "bin/python": "",
    "bin/nvidia-smi": "exit 1\n",
}
RECIPES = ("examples/xgiga/run.sh", "examples/xqg/run.sh", "examples/xnlg.sh", "examples/common.sh",
           "examples/ddtp/steps.sh")  # fmt: skip
ROWS = ["laft", "mbart_full", "mbart_enc", "mbart_enc_top2", "adapter", "tm_adv"]


def run(tmp_path: Path, recipe: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a recipe among the stand-ins."""
    home = tmp_path / "repository"
    for name, text in COMMANDS.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(LOG + OPTION + text)
        (home / name).chmod(0o755)
    for name in RECIPES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, home / name)
    (home / "mbart.cc25").mkdir()
    for name in ("model.pt", "dict.txt", "sentence.bpe.model"):  # as fairseq publishes it
        (home / "mbart.cc25" / name).write_text("x 1\n")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {**kept, "PATH": f"{home / 'bin'}{os.pathsep}{kept['PATH']}",
                   "LOG": str(tmp_path / "log"), **variables}  # fmt: skip
    return subprocess.run(["bash", str(home / "examples" / recipe / "run.sh")], env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip


def called(tmp_path: Path, recipe: str, **variables: str) -> list[list[str]]:
    """The words of each call of a recipe that comes to its end, in their order."""
    done = run(tmp_path, recipe, **variables)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in (tmp_path / "log").read_text().splitlines()]


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


@pytest.mark.recipe
@pytest.mark.parametrize(
    ("recipe", "targets", "penalty"), [("xgiga", "fr_XX,zh_CN", "1.5"), ("xqg", "zh_CN", "3")]
)
def test_the_papers_settings(tmp_path: Path, recipe: str, targets: str, penalty: str) -> None:
    """Adam, 10,000 updates of warm-up, linear decay, both rates, k = 6, beam 5, the penalty."""
    calls = called(tmp_path, recipe, **{recipe.upper(): str(tmp_path)})
    trainings = [call for call in calls if call[0] == "fairseq-train"]
    for call in trainings:
        assert option(call, "--arch") == "laft_mbart"
        assert option(call, "--optimizer") == "adam"
        assert option(call, "--lr-scheduler") == "polynomial_decay"
        assert option(call, "--warmup-updates") == "10000"
        assert option(call, "--total-num-update") == option(call, "--max-update") == "40000"
        assert not {"--power", "--end-learning-rate"} & set(call)
    decay = PolynomialDecayLRScheduleConfig()
    assert (decay.power, decay.end_learning_rate) == (1.0, 0.0)  # linear, to nothing

    stage1 = [call for call in trainings if option(call, "--task") == "laft_denoising"]
    assert [option(call, "--train-langs") for call in stage1] == [f"en_XX,{targets}"]
    stage2 = [call for call in trainings if option(call, "--task") == "laft_generation"]
    assert [(option(call, "--method"), option(call, "--lr")) for call in stage2] == [
        (row, rate) for row in ROWS for rate in ("1e-4", "3e-5")
    ]
    for call in stage2:
        assert option(call, "--train-langs") == option(call, "--valid-langs") == "en_XX"
        assert (option(call, "--eval-rouge-beam"), option(call, "--eval-rouge-lenpen")) == (
            "5", penalty
        )  # fmt: skip
    smoothed = {option(call, "--method") for call in stage2 if "--label-smoothing" in call}
    assert smoothed == {"tm_adv"}

    counted = [call for call in calls if call[:2] == ["laft", "parameters"]]
    assert {option(call, "--vocab") for call in counted} == {"31"}  # 1 piece, 25 languages, 5 more
    components = [call for call in calls if call[:2] == ["laft", "components"]]
    assert [option(call, "--num-components") for call in components] == ["6"]
    generated = [call for call in calls if call[0] == "fairseq-generate"]
    wanted = {(row, lang) for row in ROWS for lang in targets.split(",")}
    assert {(Path(option(call, "--path")).parts[-3], option(call, "--gen-lang"))
            for call in generated} == wanted  # fmt: skip
    assert {(option(call, "--beam"), option(call, "--lenpen")) for call in generated} == {
        ("5", penalty)
    }
    scored = [call for call in calls if call[:2] == ["laft", "score"]]
    assert sorted(option(call, "--protocol") for call in scored) == [
        name for name in ("unicode", "xnlg") for _ in wanted
    ]


@pytest.mark.recipe
def test_the_better_rate_is_generated_with(tmp_path: Path) -> None:
    """By validation in English, or as in the paper in the targets; 21.5 is more than 9.7."""
    calls = called(tmp_path, "xgiga", XGIGA=str(tmp_path), METHODS="mbart_enc", CHOOSE="target")
    trainings = [call for call in calls if call[0] == "fairseq-train"]
    assert [option(call, "--valid-langs") for call in trainings] == ["fr_XX,zh_CN"] * 2
    row = tmp_path / "repository" / "examples" / "xgiga" / "out" / "mbart_enc"
    assert (row / "stage2").readlink() == Path("rate-3e-5")
    assert (row / "rates.tsv").read_text() == "1e-4\t9.7\n3e-5\t21.5\n"
    assert any(call[0] == "xgiga.sh" and "--pairs-only" in call for call in calls)
    assert not any("laft_denoising" in call for call in calls)


@pytest.mark.recipe
def test_a_training_without_a_score_is_not_chosen(tmp_path: Path) -> None:
    """One line that names the log; nothing is linked, generated or left half-written."""
    failed = run(tmp_path, "xgiga", XGIGA=str(tmp_path), METHODS="mbart_enc", LOST="9.7")
    assert failed.returncode == 1
    log = "mbart_enc/rate-1e-4/train.log: no validation ROUGE-L; remove its folder to train again"
    assert log in failed.stderr and failed.stderr.count("\n") == 1
    row = tmp_path / "repository" / "examples" / "xgiga" / "out" / "mbart_enc"
    assert sorted(path.name for path in row.iterdir()) == ["rate-1e-4", "rate-3e-5"]
    assert "fairseq-generate" not in (tmp_path / "log").read_text()
