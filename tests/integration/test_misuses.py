"""Options that cannot be meant: each ends in one line that names it, before anything is trained.

What fairseq itself makes of them is a traceback, or a result that nobody asked for and exit 0.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.integration.conftest import SAVING, Run
from tests.integration.test_bad_input import said

# What is given beside a right command's options, and how its one line begins.
TRAINING = """
--batch-size 0 | --batch-size 0: must be above 0
--lr -1 | --lr -1.0: must be at least 0
--lr 1e- | --lr 1e-: invalid decimal literal
--max-update -1 | --max-update -1: must be at least 0
--clip-norm nan | --clip-norm nan: must be at least 0
--dropout -1 | --dropout -1.0: must be at least 0 and at most 1
--decoder-layerdrop 2 | --decoder-layerdrop 2.0: must be at least 0 and at most 1
--criterion label_smoothed_cross_entropy --label-smoothing 5 | --label-smoothing 5.0: must be
--task-adapter-reduction 33 | --task-adapter-reduction 33: must be at most the width, 32
--seed 4294967296 | --seed 4294967296: must be at least 0 and at most 4294967295
--update-freq 1,0 | --update-freq 0: must be above 0
--task-module-layers 0 | --task-module-layers 0: must be at least 1
--encoder-attention-heads 3 | --encoder-attention-heads 3: must divide the width, 32
--encoder-embed-dim 100 | --encoder-embed-dim 100, --decoder-embed-dim 32: must be the same
--adam-betas x | --adam-betas x: name 'x' is not defined (NameError; LAFT_DEBUG=1
--optimizer-overrides x | --optimizer-overrides x: malformed node
--lr-scheduler polynomial_decay --total-num-update 0 | --total-num-update 0: assert
--fp16 | --fp16: is for GPUs
--fp16 --bf16 | --fp16, --bf16: Cannot combine
--save-dir {file} | --save-dir {file}: cannot be written to (it is no folder)
--log-file none/x | --log-file none/x: [Errno 2] No such file
--restore-file none.pt | --restore-file none.pt: no such checkpoint
--finetune-from-model none.pt | --finetune-from-model none.pt: no such checkpoint
--adapter-langs fr_XX,zh_CN | --adapter-langs fr_XX,zh_CN: lacks en_XX
--method adapter | {stage1}: does not fit --method adapter: trained with --method laft, it holds
--eval-rouge --eval-rouge-beam 0 | --eval-rouge-beam 0: must be above 0
--best-checkpoint-metric rougeL --eval-rouge | --best-checkpoint-metric rougeL: larger is better
--best-checkpoint-metric rougeL | --best-checkpoint-metric rougeL: is reported with --eval-rouge
--best-checkpoint-metric rougeL_de_DE --eval-rouge | --best-checkpoint-metric rougeL_de_DE: is not
--best-checkpoint-metric accuracy | --best-checkpoint-metric accuracy: no validation reports it
--maximize-best-checkpoint-metric | --best-checkpoint-metric loss: smaller is better
"""
PRETRAINING = """
--multilang-sampling-alpha -3 | --multilang-sampling-alpha -3.0: must be at least 0
--mask 1.5 | --mask 1.5: must be at least 0 and at most 1
--poisson-lambda 0 | --poisson-lambda 0.0: must be above 0
"""
GENERATION = """
--lenpen nan | --lenpen nan: must be at least -100 and at most 100
--beam 0 | --beam 0: must be above 0
--nbest 6 | --nbest 6: must be at most --beam, 5
--max-len-b 0 | --min-len 1: must be at most --max-len-b, 0
--sampling | --sampling: --sampling requires --nbest
--sampling-topk 3 | --sampling-topk 3: needs --sampling
--diverse-beam-groups 3 --beam 5 | --diverse-beam-groups 3: must divide --beam 5
--remove-bpe nosuch | --remove-bpe nosuch: Unknown post_process option
--model-overrides x | --model-overrides x: malformed node
--results-path {file}/x | --results-path {file}/x: [Errno
--bpe sentencepiece --sentencepiece-model no.model | --sentencepiece-model no.model: no such file
--fp16 | --fp16: is for GPUs
"""


def cases(table: str) -> Any:
    rows = [line.split(" | ") for line in table.strip().splitlines()]
    return pytest.mark.parametrize(("flags", "line"), rows, ids=[flags for flags, _ in rows])


@pytest.fixture
def last_line(laft: Run, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command with such options leaves on the terminal where it ends in an error."""
    paths = {"file": laft.backbone, "stage1": laft.stage1}

    def run(command: Callable[..., Any], flags: str) -> str:
        with pytest.raises(Exception) as caught:
            command(*flags.format(**paths).split())
        capsys.readouterr()
        sys.excepthook(caught.type, caught.value, caught.tb)
        (line,) = capsys.readouterr().err.splitlines()
        return line.replace(str(laft.backbone), "{file}").replace(str(laft.stage1), "{stage1}")

    return run


@cases(TRAINING)
def test_finetuning(
    laft: Run, tmp_path: Path, last_line: Callable[..., str], flags: str, line: str
) -> None:
    def train(*given: str) -> None:
        own = () if "from-model" in flags or "restore" in flags else (
            "--finetune-from-model", laft.stage1)  # fmt: skip
        tiny.train(laft.data, tmp_path, "generation", *laft.parts, *own, "--train-langs", "en_XX",
                   "--max-update", "1", "--no-epoch-checkpoints", *given)  # fmt: skip

    assert last_line(train, flags).startswith(f"laft: error: {line}")
    assert not list(tmp_path.glob("*.pt"))


@cases(PRETRAINING)
def test_pretraining(
    laft: Run, tmp_path: Path, last_line: Callable[..., str], flags: str, line: str
) -> None:
    def train(*given: str) -> None:
        tiny.train(laft.data, tmp_path, "denoising", *laft.parts, "--max-update", "1", *given)

    assert last_line(train, flags).startswith(f"laft: error: {line}")
    assert not list(tmp_path.glob("*.pt"))


@cases(GENERATION)
def test_generation(laft: Run, last_line: Callable[..., str], flags: str, line: str) -> None:
    def generate(*given: str) -> None:
        tiny.generate(laft.data, laft.stage2, "--task", "laft_generation", "--gen-lang", "fr_XX",
                      *given)  # fmt: skip

    assert last_line(generate, flags).startswith(f"laft: error: {line}")


def test_the_traceback_is_there_for_who_asks(
    laft: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAFT_DEBUG", "1")
    with pytest.raises(AssertionError) as caught:
        tiny.generate(laft.data, laft.stage2, "--task", "laft_generation", "--gen-lang", "fr_XX",
                      "--sampling")  # fmt: skip
    sys.excepthook(caught.type, caught.value, caught.tb)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "flags", "is_refused"),
    [("laft", ("--language-components", "{components}"), True), ("mbart_enc", (), False),
     ("laft", ("--removal", "none", "--fusion-input", "none"), False)],
)  # fmt: skip
def test_stage_2_from_nothing(
    laft: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str,
    flags: tuple[str, ...], is_refused: bool,
) -> None:  # fmt: skip
    """With components refused, as they are of no such encoder; others hear of it at the end too."""
    words = [word.format(components=laft.components) for word in flags]
    flags = ("--method", method, *words, "--train-langs", "en_XX", "--max-update", "1", *SAVING)
    error = f"--method {method}: there is no --backbone and no checkpoint to start from"
    if is_refused:
        assert said(lambda: tiny.train(laft.data, tmp_path, "generation", *flags)).startswith(error)
        return
    tiny.train(laft.data, tmp_path, "generation", *flags)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith(f"laft: warning: {error}")]
    without_stage1 = any("trained neither here nor before" in line for line in lines)
    assert without_stage1 == (method == "laft")
