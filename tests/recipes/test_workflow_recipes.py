"""The recipes own, qg, xgiga and xqg by the workflow: at the smallest size, or their plan."""

import json
import lzma
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import PolynomialDecayLRScheduleConfig

from tests.recipes.warm import Warm
from tests.recipes.workflow import ROOT, Run, small
from tests.unit.preprocess.test_xnlg import XQG, lay

pytestmark = [pytest.mark.recipe, pytest.mark.integration]
DATA = ROOT / "examples" / "ddtp" / "data"


def lines_of(name: str, count: int) -> list[str]:
    """The first lines of a file that ships with the repository."""
    with lzma.open(DATA / name, "rt", encoding="utf-8") as handle:
        return [next(handle).rstrip("\n") for _ in range(count)]


def test_a_task_of_ones_own(tmp_path: Path, warm: Warm) -> None:
    """Pairs as Windows writes them; then raw text in, raw text out in a language of stage 1."""
    folder = tmp_path / "my task"
    folder.mkdir()
    rows = [line.split("\t") for line in lines_of("en_XX.train.tsv.xz", 40)]
    pairs = "".join(f"{row[2]}\t{row[3]}\r\n" for row in rows)
    (folder / "train.tsv").write_bytes(b"\xef\xbb\xbf" + pairs.encode())
    run = small(warm, tmp_path, "own", folder=str(folder), systems=["laft"], stage2_updates=2,
                stage1="laft-stage1.pt")  # fmt: skip
    assert "stage 1, laft.main" not in run("-n")
    run()
    french = lines_of("mono.fr_XX.txt.xz", 40)
    command = f"laft generate --checkpoint {run.out}/model.pt --lang fr_XX"
    made = subprocess.run(
        [*command.split(), "--beam", "1"], input=f"{french[0]}\n\n{french[1]}", text=True,
        capture_output=True, check=False, cwd=ROOT, env={**os.environ, "PATH": warm.path()},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    lines = made.stdout.split("\n")
    assert len(lines) == 4 and lines[0] and lines[2] and not lines[3]

    assert "Nothing to be done" in run("-n")
    (folder / "mono.fr_XX.txt").write_text("".join(f"{line}\n" for line in french), "utf-8")
    assert "stage 1, laft.main" not in run("-n")
    assert "stage 1, laft.main" in run("-n", "--config", "stage1=")  # trained on the user's text
    (folder / "mono.eo_XX.txt").write_text("unu\n")
    (run.out / "raw/zero-shot/new-langs.txt").write_text("eo_XX\n")  # of a run that named it
    assert "--new-langs=eo_XX" in run("-n", "-p")
    (folder / "mono.eo_XX.txt").unlink()
    with (folder / "train.tsv").open("a") as handle:
        handle.write("one\tmore\n")
    assert "stage 2, zero-shot, laft.main" in run("-n")
    (folder / "train.tsv").write_text("no tab\n" * 40)
    assert "train.tsv: line 1 has 1 column, not 2: a line is source, tab, target" in run(code=1)


def asked(number: int, context: str, answer: str, question: str) -> dict[str, Any]:
    return {"id": f"item{number}", "context": context, "question": question, "answer": answer,
            "answer_start": context.index(answer)}  # fmt: skip


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """The four files in their layouts, and monolingual text."""
    made: dict[str, list[dict[str, Any]]] = {
        "nqg.test": [
            {"sentence": f"the mill at ford {n} was built by worker {n} .", "answer": f"worker {n}",
             "question": f"who built the mill at ford {n} ?"} for n in range(60)
        ],
        "xquad.en": [
            asked(n, f"It rains. Gate {n} is red.", "red", f"What is gate {n}?") for n in range(5)
        ],
        "xquad.zh": [
            asked(n, f"下雨了。第{n}扇门是红色的。", "红色", f"第{n}扇门的颜色？") for n in range(5)
        ],
        "cmrc2018.trial": [
            asked(n, f"第{n}条河很长。", "很长", f"第{n}条河怎么样？") for n in range(5)
        ],
    }  # fmt: skip
    texts = {
        f"{name}.jsonl": [json.dumps(each, ensure_ascii=False) for each in records]
        for name, records in made.items()
    }
    for lang, text in (("en_XX", "the gate of mill {} opens"), ("zh_CN", "第{}条河在山的南边")):
        texts[f"mono.{lang}.txt"] = [text.format(n) for n in range(90)]
    folder = tmp_path / "qg"
    folder.mkdir()
    for name, lines in texts.items():
        with lzma.open(folder / f"{name}.xz", "wt", encoding="utf-8") as handle:
            handle.writelines(f"{line}\n" for line in lines)
    return folder


def test_questions_from_evidence(tmp_path: Path, questions: Path, warm: Warm) -> None:
    """The sources hold evidence and answer."""
    settings = {"targets": ["zh_CN"], "tests": ["zh_CN"], "mono": str(questions)}
    wrong = small(warm, tmp_path, "qg", qg=str(questions), targets=["fr_XX"], tests=["fr_XX"])
    assert "tests: fr_XX has no questions, only en_XX, zh_CN" in wrong(code=1)
    run = small(warm, tmp_path, "qg", qg=str(questions), stage2_updates=2, **settings)
    run("raw/zero-shot.json")
    sources = (run.out / "raw/zero-shot/zh_CN.test.src").read_text("utf-8").splitlines()
    assert len(sources) == 3
    assert all(source.endswith("扇门是红色的。 ⏎ 红色") for source in sources)
    assert "result, zero-shot, mbart_enc_top2.main, zh_CN" in run("-n")
    (questions / "nqg.test.jsonl.xz").unlink()
    assert f"{questions}/nqg.test.jsonl.xz: missing; qg names the folder" in run(code=1)


def test_xqg_and_translated_pairs(tmp_path: Path, warm: Warm) -> None:
    """Text and plan; then with translated pairs as well."""
    lay(tmp_path / "xqg", "eaq", XQG, ".lc")
    settings = {
        "xnlg": str(tmp_path / "xqg"), "backbone": "examples/mini/model",
        "arch": "laft_mbart_mini", "targets": ["zh_CN"], "systems": ["mbart_attn_qk"],
        "train_options": "",
    }  # fmt: skip
    run = small(warm, tmp_path, "xqg", **settings)
    run("data-bin/zero-shot.done")
    sides = [(run.out / f"raw/zero-shot/zh_CN.test.{side}").read_text() for side in ("src", "tgt")]
    assert sides[0].splitlines() == [f"第{n}座山在北边。 ⏎ 北边" for n in range(2)]
    assert sides[1].splitlines() == [f"第{n}座山在哪里?" for n in range(2)]
    assert "stage 2, zero-shot, mbart_attn_qk.main, seed 1, rate 1e-3" in run("-n")

    english = (run.out / "raw/zero-shot/en_XX.train.tsv").read_text("utf-8")
    (tmp_path / "zh_CN.train.tsv").write_text(english, "utf-8")
    more = small(
        warm, tmp_path, "xqg", translated=str(tmp_path),
        settings=["zero-shot", "translate-train"], **settings,
    )  # fmt: skip
    plan = more("-n")
    assert "stage 2, translate-train, mbart_attn_qk.main, seed 1, rate 1e-3" in plan
    assert "translated pairs" in plan and not re.search(r"Job \d+: data$", plan, re.MULTILINE)


SYSTEMS = ["laft", "mbart_full", "mbart_enc", "mbart_enc_top2", "adapter", "tm_adv",
           "tm_adv_reconstruct"]  # fmt: skip


def planned(warm: Warm, folder: Path, recipe: str, **settings: Any) -> list[list[str]]:
    """The words of each command that a recipe would run on mBART-large and XNLG's data."""
    for name in ("mbart.cc25/model.pt", "mbart.cc25/dict.txt", "mbart.cc25/sentence.bpe.model",
                 "xnlg/train.x.en"):  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    given = {"xnlg": str(folder / "xnlg"), "backbone": str(folder / "mbart.cc25"), **settings}
    plan = Run(warm.path(), folder, recipe, whole=True, **given)("-n", "--printshellcmds")
    starts = r"(?<=\s)(?:fairseq-train|fairseq-generate|laft components|\S+/xgiga\.sh) .*"
    return [shlex.split(found) for found in re.findall(starts, plan)]


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


@pytest.mark.parametrize(
    ("recipe", "targets", "penalty"), [("xgiga", "fr_XX,zh_CN", "1.5"), ("xqg", "zh_CN", "3")]
)
def test_the_papers_settings(
    tmp_path: Path, warm: Warm, recipe: str, targets: str, penalty: str
) -> None:
    """Adam, 10,000 updates of warm-up, linear decay, both rates, k = 6, beam 5, the penalty."""
    calls = planned(warm, tmp_path, recipe)
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
    assert sorted(
        (option(call, "--method") + "_reconstruct" * ("--reconstruct-target" in call),
         option(call, "--lr"))
        for call in stage2
    ) == sorted((system, rate) for system in SYSTEMS for rate in ("1e-4", "3e-5"))  # fmt: skip
    assert len({(option(call, "--adam-betas"), option(call, "--clip-norm")) for call in calls
                if call[0] == "fairseq-train"}) == 1  # fmt: skip
    for call in stage2:
        assert option(call, "--train-langs") == option(call, "--valid-langs") == "en_XX"
        assert (option(call, "--eval-rouge-beam"), option(call, "--eval-rouge-lenpen")) == (
            "5", penalty
        )  # fmt: skip
        assert ("--finetune-from-model" in call) == (option(call, "--method") == "laft")
        adversarial = option(call, "--method") == "tm_adv"
        assert ("--label-smoothing" in call) == adversarial
        assert option(call, "--max-tokens") == ("8192" if adversarial else "4096")
        assert not adversarial or option(call, "--target-langs") == targets
    components = [call for call in calls if call[:2] == ["laft", "components"]]
    assert [option(call, "--num-components") for call in components] == ["6"]
    generated = [call for call in calls if call[0] == "fairseq-generate"]
    assert len(generated) == len(SYSTEMS) * len(targets.split(","))
    for call in generated:
        assert option(call, "--path").endswith("/s1.source/model.pt")
        assert (option(call, "--beam"), option(call, "--lenpen")) == ("5", penalty)


def test_the_targets_may_choose(tmp_path: Path, warm: Warm) -> None:
    calls = planned(warm, tmp_path, "xgiga", systems=["mbart_enc"], selections=["target"])
    trainings = [call for call in calls if call[0] == "fairseq-train"]
    assert [option(call, "--valid-langs") for call in trainings] == ["fr_XX,zh_CN"] * 2
    assert any(call[0].endswith("xgiga.sh") and "--pairs-only" in call for call in calls)
    assert not any("laft_denoising" in call for call in calls)


@pytest.fixture
def everything(tmp_path: Path, questions: Path) -> dict[str, Any]:
    """Settings for which everything is there: human pairs of French, an engine, questions."""
    folder = tmp_path / "ddtp"
    folder.mkdir()
    for path in DATA.glob("*.xz"):
        (folder / path.name).symlink_to(path)
    (folder / "fr_XX.train.tsv.xz").symlink_to(DATA / "en_XX.train.tsv.xz")
    engine = {"to": "cat", "from": "cat", "version": "true"}
    return {"ddtp": str(folder), "qg": str(questions), "engines": {"fr_XX": engine}}


def test_the_whole_experiment_is_planned(
    tmp_path: Path, warm: Warm, everything: dict[str, Any]
) -> None:
    run = Run(warm.path(), tmp_path, "ddtp", whole=True, **everything)
    fewer = ["seeds={default: 2, laft: 3}", "seeds_of={translate-train: 3, questions: 1}"]
    plan = run("-n", "--config", *fewer)
    assert "mbart_enc.main, seed 2" in plan and "zero-shot, mbart_enc.main, seed 3" not in plan
    for title in (
        "stage 2, zero-shot, mbart_enc.main, seed 1, rate 3e-3",
        "stage 2, zero-shot, tm_adv_reconstruct.main, seed 1, rate 1e-4",
        "stage 2, zero-shot, laft.main, seed 3, chosen rate (source)",
        "stage 2, human-translation-train.fr_XX, laft.main, seed 1, chosen rate (source)",
        "stage 2, translate-train.fr_XX, tm_adv.main, seed 3, chosen rate (source)",
        "stage 2, few-shot-10.fr_XX, laft.main, seed 1, chosen rate (source)",
        "stage 2, supervised.fr_XX, mbart_full.main, seed 1, rate 3e-4",
        "stage 2, questions, mbart_enc.main, seed 1, chosen rate (source)",
    ):
        assert title in plan, title
    assert "stage 1, laft.main" not in plan  # it is there
    assert "left out: translate-train, zh_CN" in plan and "few-shot-10.zh_CN" not in plan


def test_all_ablations_are_planned(tmp_path: Path, warm: Warm) -> None:
    plan = Run(warm.path(), tmp_path, "ablations", whole=True, out=str(tmp_path / "out"))("-n")
    for title in (
        "stage 1, laft.main, seed 1, rate 3e-4",
        "stage 2, zero-shot, mbart_enc.stage1, seed 1, rate 3e-4",
        "stage 2, zero-shot, adapter_r16.main, seed 3, chosen rate (source)",
        "stage 2, zero-shot, laft.random-subspace, seed 3, chosen rate (source)",
        "stage 1, laft.no-removal, seed 1, chosen rate",
        "representations, k-12",
    ):
        assert title in plan, title
    assert "stage 1, laft.no-stage1" not in plan


def test_other_settings(tmp_path: Path, warm: Warm, everything: dict[str, Any]) -> None:
    settings = ["translate-train", "translate-test", "few-shot-10", "questions"]
    run = small(
        warm, tmp_path, settings=settings, targets=["fr_XX", "zh_CN"], systems=["mbart_enc_top2"],
        stage2_updates=2, **everything,
    )  # fmt: skip
    run()
    found = run.results()
    del found["results/experiment.json"]
    assert {(each["task"], each["setting"], each["lang"]) for each in found.values()} == {
        *(("headlines", setting, "fr_XX") for setting in settings[:-1]),
        ("questions", "zero-shot", "zh_CN"),
    }
    trained_on = {
        each["setting"]: option(each["commands"][0].split(), "--train-langs")
        for each in found.values()
    }
    assert trained_on["translate-train"] == "en_XX,fr_XX"
    few = found["results/few-shot-10/mbart_enc_top2.main.fr_XX.s1.source.json"]
    assert few["training_pairs"] == {"pairs": 10, "repeats": 1, "share": 0.25}
