"""The workflow's helpers by themselves: text, logs, choices, half-written checkpoints, devices."""

import argparse
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from laft_fairseq.errors import LaftError

WORKFLOW = Path(__file__).parents[2] / "examples" / "workflow"
sys.path.insert(0, str(WORKFLOW))
import report  # noqa: E402
import sanity  # noqa: E402
import text  # noqa: E402
import training  # noqa: E402


def pair(lang: str, number: int, source: str = "") -> list[str]:
    return [f"p{number}", f"m{number}", source or f"{lang} text {number}", f"{lang} head {number}"]


def write_xz(path: Path, lines: Iterable[str]) -> None:
    with lzma.open(path, "wt", encoding="utf-8") as handle:
        handle.writelines(f"{line}\n" for line in lines)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """English pairs m0 to m39; validation, test and monolingual text in both languages."""
    write_xz(tmp_path / "en_XX.train.tsv.xz", ("\t".join(pair("en", n)) for n in range(40)))
    for lang, short in (("en_XX", "en"), ("fr_XX", "fr")):
        for split, start in (("valid", 9000), ("test", 9100)):
            rows = ("\t".join(pair(lang, start + n)) for n in range(3))
            write_xz(tmp_path / f"{short}.{split}.tsv.xz", rows)
        write_xz(tmp_path / f"mono.{lang}.txt.xz", (f"{lang} line {n}\tp{n}" for n in range(60)))
    return {"data": "ddtp", "source": "en_XX", "targets": ["fr_XX"], "langs": ["en_XX", "fr_XX"],
            "ddtp": str(tmp_path), "mono": str(tmp_path), "pairs": 20, "test_items": 2,
            "valid_items": 1}  # fmt: skip


def test_the_zero_shot_text(settings: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "raw"
    out.mkdir()
    text.headlines(settings, out)
    train = text.read_tsv(out / "en_XX.train.tsv")
    assert train == text.in_order(pair("en", n) for n in range(40))[:20]
    assert len(text.read_tsv(out / "fr_XX.valid.tsv")) == 1
    tested = text.read_tsv(out / "fr_XX.test.tsv")
    english = (out / "fr_XX.test.english").read_text().splitlines()
    assert [row[3].replace("fr_XX", "en_XX") for row in tested] == english
    assert (out / "mono.fr_XX.valid").read_text().splitlines()[0] == "fr_XX line 10"
    assert len((out / "mono.fr_XX.train").read_text().splitlines()) == 10


PARAGRAPHS = "un ⏎ deux"


@pytest.mark.parametrize("line", [PARAGRAPHS, "un", "deux"])
def test_no_english_pair_is_one_whose_translation_stage_1_has_read(
    settings: dict[str, Any], tmp_path: Path, line: str
) -> None:
    write_xz(tmp_path / "fr_XX.train.tsv.xz", ["\t".join(pair("fr", 7, PARAGRAPHS))])
    kept = text.english_pairs({**settings, "pairs": 0}, {"fr_XX": ["trois", line]})
    assert len(kept) == 39 and "m7" not in {row[1] for row in kept}


@pytest.mark.parametrize(
    ("english", "count", "times"), [(8000, 10, 200), (8000, 100, 20), (20, 10, 1)]
)
def test_few_shot_pairs_make_up_a_fifth(english: int, count: int, times: int) -> None:
    rows = [pair("fr", number) for number in range(200)]
    found, told = text.few_shot(rows, english, count)
    assert found == rows[:count] * times and told["repeats"] == times
    with pytest.raises(LaftError, match="200 human pairs"):
        text.few_shot(rows, english, 201)


def test_the_oracle_has_as_many_pairs_and_translations_first() -> None:
    rows = [pair("fr", number) for number in range(6)]
    found, told = text.oracle(rows, ["m4", "m2"], 3)
    assert [row[1] for row in found] == ["m2", "m4", "m0"]
    assert told == {"pairs": 3, "translations": 2}


def valid_line(**values: Any) -> str:
    return "2026-01-01 00:00:00 | INFO | valid | " + json.dumps(values)


LOG = "\n".join(
    [
        "2026-01-01 00:00:00 | INFO | fairseq_cli.train | {'no': 'json'}",
        '2026-01-01 | INFO | train_inner | {"epoch": 1, "loss": "8.5", "num_updates": "20"}',
        '2026-01-01 | INFO | train_inner | {"epoch": 1, "lo',
        '2026-01-01 | INFO | train_inner | {"epoch": 1, "loss": "8.25", "num_updates": "20"}',
        '2026-01-01 | INFO | train_inner | {"epoch": 2, "loss": "nan", "num_updates": "30"}',
        valid_line(valid_loss="7", valid_rougeL_en_XX="30", valid_num_updates="20"),
        valid_line(valid_loss="6.5", valid_rougeL_en_XX="20.5", valid_rougeL_fr_XX="11",
                   valid_rougeL="15.75", valid_copied_fr_XX="40", valid_num_updates="30"),
    ]
)  # fmt: skip


def test_logs_are_read_with_their_broken_and_repeated_lines() -> None:
    assert training.validation(LOG, "last") == {"en_XX": 20.5, "fr_XX": 11.0}
    assert training.validation(LOG, "best") == {"en_XX": 30.0}
    assert training.curve(LOG, 2) == [
        {"stage": 2, "update": 20, "split": "train", "loss": 8.25},
        {"stage": 2, "update": 20, "split": "valid", "loss": 7.0, "rougeL": {"en_XX": 30.0}},
        {"stage": 2, "update": 30, "split": "valid", "loss": 6.5,
         "rougeL": {"en_XX": 20.5, "fr_XX": 11.0}, "copied": {"fr_XX": 40.0}},
    ]  # fmt: skip


def test_source_and_target_choose_by_their_own_languages() -> None:
    scores = {
        "1e-3": {"en_XX": 20.0, "fr_XX": 15.0, "zh_CN": 1.0},
        "3e-4": {"en_XX": 19.0, "fr_XX": 9.0, "zh_CN": 9.0},
        "1e-4": {"en_XX": 20.0, "fr_XX": 0.0, "zh_CN": 0.0},
    }
    assert report.best(scores, ["en_XX"]) == "1e-3"
    assert report.best(scores, ["fr_XX", "zh_CN"]) == "3e-4"
    with pytest.raises(LaftError, match="no validation score of zh_CN at rate 1e-4"):
        report.best({**scores, "1e-4": {"en_XX": 50.0}}, ["zh_CN"])


def test_stage_1_takes_the_rate_with_the_lowest_loss(tmp_path: Path) -> None:
    for name, loss in (("a", 2.5), ("b", 2.0), ("c", 2.0), ("lost", None)):
        (tmp_path / name).write_text(json.dumps({"valid_loss": loss, "validation": {}}))
    given = argparse.Namespace(
        rates=["1e-3", "3e-4", "1e-4"], done=[tmp_path / name for name in "abc"],
        selection={"chosen": ["minus_loss"]}, out=tmp_path / "choice.json",
    )  # fmt: skip
    report.choose(given)
    assert report.read_json(given.out)["chosen"] == "3e-4"
    given.done[0] = tmp_path / "lost"
    with pytest.raises(LaftError, match="no validation score of minus_loss at rate 1e-3"):
        report.choose(given)


GPUS = [f"GPU-{letter * 8}" for letter in "abc"]
TRAINING = """
import os, sys, time
open(sys.argv[1], "a").write(f"begin {os.environ['CUDA_VISIBLE_DEVICES']}\\n")
time.sleep(0.4)
open(sys.argv[1], "a").write(f"end {os.environ['CUDA_VISIBLE_DEVICES']}\\n")
"""


def with_gpus(folder: Path, lines: Iterable[str]) -> dict[str, str]:
    """An environment whose nvidia-smi shows these, and a folder of locks of its own."""
    listed = "\n".join(lines)
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\ncat << EOF\n{listed}\nEOF\n")
    (folder / "nvidia-smi").chmod(0o755)
    rest = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    return {**rest, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(folder)}


THREE = [f"GPU {n}: NVIDIA H100 (UUID: {uuid})" for n, uuid in enumerate(GPUS)]


@pytest.mark.parametrize(("devices", "most"), [(1, 3), (2, 1)])
def test_no_device_is_seen_twice(tmp_path: Path, devices: int, most: int) -> None:
    """Seven trainings begun at once on three devices."""
    environment, log = with_gpus(tmp_path, THREE), tmp_path / "log"
    (tmp_path / "training.py").write_text(TRAINING)
    words = [sys.executable, str(tmp_path / "training.py"), str(log)]
    call = "import command, pathlib, sys; command.run("
    call += f"{words!r}, pathlib.Path(sys.argv[1]), devices={devices})"
    begun = [
        subprocess.Popen([sys.executable, "-c", call, str(tmp_path / f"out{n}")],
                         cwd=WORKFLOW, env=environment) for n in range(7)
    ]  # fmt: skip
    assert [process.wait() for process in begun] == [0] * 7
    now: list[str] = []
    counts = []
    for line in log.read_text().splitlines():
        word, names = line.split()
        if word == "begin":
            assert len(names.split(",")) == devices and not set(names.split(",")) & set(now)
            now += names.split(",")
        else:
            now = [name for name in now if name not in names.split(",")]
        counts.append(len(now) // devices)
    assert max(counts) == most and not now


@pytest.mark.parametrize(
    ("visible", "lines", "expected"),
    [
        (None, THREE, GPUS),
        ("2,0", THREE, [GPUS[2], GPUS[0]]),
        (GPUS[1][:6], THREE, [GPUS[1]]),
        ("", THREE, []),
        (None, [THREE[0], "  MIG 1g.10gb Device 0: (UUID: MIG-1)", THREE[1]], ["MIG-1", GPUS[1]]),
    ],
)
def test_which_devices_are_visible(
    tmp_path: Path, visible: str | None, lines: list[str], expected: list[str]
) -> None:
    environment = with_gpus(tmp_path, lines)
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    call = "import command; print(*command.visible_gpus())"
    done = subprocess.run([sys.executable, "-c", call], cwd=WORKFLOW, env=environment,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.split() == expected


@pytest.mark.parametrize(
    ("raw", "scaled", "passed"),
    # 10 times chance is 2 %; of 500, 20 are 4 % [2.46, 6.11], 16 are 3.2 % [1.84, 5.14].
    [
        ((0.04, 0.04), (0.04, 0.04), True),
        ((0.04, 0.032), (0.04, 0.04), False),
        ((0.04, 0.04), (0.032, 0.04), False),
    ],
)
def test_retrieval_is_far_above_chance_or_not(
    raw: tuple[float, float], scaled: tuple[float, float], passed: bool
) -> None:
    measured = [
        dict(zip(("forward", "backward"), each, strict=True)) | {"chance": 0.002}
        for each in (raw, scaled, (0.1, 0.1))
    ]
    removed = dict(zip(("scaled", "projection"), measured[1:], strict=True))
    pair = {"pairs": 500, "encoder": measured[0], "after_removal": removed}
    check = sanity.retrieval({"en_XX-fr_XX": pair})
    assert check["passed"] is passed and "(chance 0.20)" in check["detail"]


@pytest.mark.parametrize(
    ("perplexity", "right", "passed"),
    [(99.0, 95.1, True), (101.0, 99.0, False), (99.0, 95.0, False), (99.0, None, False)],
)
def test_denoising_in_every_language(perplexity: float, right: float | None, passed: bool) -> None:
    good = {"hidden": {"perplexity": 9.0, "unigram": 100.0}}
    tried = {"hidden": {"perplexity": perplexity, "unigram": 100.0}}
    card = {
        "denoising": {"en_XX": good, "zh_CN": tried},
        "reconstruction": {"en_XX": {"right_language": 100.0}, "zh_CN": {"right_language": right}},
    }
    assert sanity.denoising(card)["passed"] is passed
