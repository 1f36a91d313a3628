"""The question recipe by its own commands, at the smallest size, on text made up here."""

import json
import lzma
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.warm import Warm

ROOT = Path(__file__).parents[2]
ITEMS = 3
SIZE = {
    "TEST_ITEMS": str(ITEMS),
    "VALID_ITEMS": "4",
    "MAX_SENTENCES": "40",
    "TESTS": "zh_CN",
    "STAGE1_UPDATES": "1",
    "STAGE2_UPDATES": "1",
    "BEAM": "1",
}


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(r, ensure_ascii=False)}\n" for r in records), "utf-8")


def asked(number: int, context: str, answer: str, question: str) -> dict[str, Any]:
    return {"id": f"item{number}", "context": context, "question": question, "answer": answer,
            "answer_start": context.index(answer)}  # fmt: skip


@pytest.fixture
def questions(tmp_path: Path) -> dict[str, str]:
    """The four files in their layouts; training records with answers."""
    made = {
        "NQG": [
            {"sentence": f"the mill at ford {n} was built by worker {n} .", "answer": f"worker {n}",
             "question": f"who built the mill at ford {n} ?"} for n in range(60)
        ],
        "XQUAD_EN": [
            asked(n, f"It rains. Gate {n} is red.", "red", f"What is gate {n}?") for n in range(5)
        ],
        "XQUAD_ZH": [
            asked(n, f"下雨了。第{n}扇门是红色的。", "红色", f"第{n}扇门的颜色？") for n in range(5)
        ],
        "CMRC": [asked(n, f"第{n}条河很长。", "很长", f"第{n}条河怎么样？") for n in range(5)],
    }  # fmt: skip
    for name, records in made.items():
        write(tmp_path / f"{name}.jsonl", records)
    for lang, text in (("en_XX", "the gate of mill {} opens"), ("zh_CN", "第{}条河在山的南边")):
        with lzma.open(tmp_path / f"mono.{lang}.txt.xz", "wt", encoding="utf-8") as mono:
            mono.writelines(f"{text.format(n)}\n" for n in range(90))
    files = {name: str(tmp_path / f"{name}.jsonl") for name in made}
    return {**files, "MONO": str(tmp_path)}


def run(warm: Warm, out: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`examples/qg/run.sh` with commands that start at once first on the path."""
    environment = {**os.environ, **SIZE, "OUT": str(out), "PATH": warm.path(), **variables}
    return subprocess.run(
        ["bash", str(ROOT / "examples" / "qg" / "run.sh")],
        env=environment, capture_output=True, text=True, check=False, cwd=out.parent,
    )  # fmt: skip


@pytest.mark.integration
def test_questions_run_to_a_score(tmp_path: Path, questions: dict[str, str], warm: Warm) -> None:
    """Both systems are scored on Chinese, whose sources hold evidence and answer."""
    out = tmp_path / "out"
    done = run(warm, out, **questions)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    sources = (out / "raw" / "zh_CN.test.src").read_text("utf-8").splitlines()
    assert len(sources) == ITEMS
    assert all(source.endswith("扇门是红色的。 ⏎ 红色") for source in sources)
    assert json.loads((out / "raw" / "provenance.json").read_text())["source"] == "evidence-answer"
    for method in ("laft", "mbart_full"):
        report = json.loads((out / method / "score.zh_CN.json").read_text())
        assert report["n"] == ITEMS
        log = (out / method / "generate.zh_CN.log").read_text("utf-8")
        assert sum(line.startswith("D-") for line in log.splitlines()) == ITEMS
        assert f"| **{method}** | zh_CN |" in done.stdout
    assert "Zero-shot questions" in (out / "table.md").read_text()


@pytest.mark.integration
def test_missing_data_stops_at_once(tmp_path: Path, questions: dict[str, str], warm: Warm) -> None:
    """One clear line that names the file, before anything is written."""
    failed = run(warm, tmp_path / "out", **{**questions, "CMRC": str(tmp_path / "nowhere.jsonl")})
    assert failed.returncode != 0
    assert failed.stderr.strip().endswith("nowhere.jsonl: missing; see examples/qg/README.md")
    assert not (tmp_path / "out").exists()
