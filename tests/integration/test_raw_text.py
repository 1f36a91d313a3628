"""`laft generate` and the hub: the hypotheses of fairseq-generate, from raw text."""

import io
import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq import hub, progress
from laft_fairseq.cli.main import main
from laft_fairseq.languages.layout import TagLayout
from tests import tiny, tiny_text
from tests.integration.conftest import Run

CHECKPOINT = "CHECKPOINT"
JSON = ("--input-format", "jsonl")
SEARCH = ("--beam", "3", "--lenpen", "0.7", "--max-len-b", "6", "--nbest", "2",
          "--batch-size", "3", "--no-repeat-ngram-size", "2")  # fmt: skip


BOTH_LAYOUTS = pytest.mark.parametrize("laft", list(TagLayout), indirect=True, ids=str)


@pytest.fixture(scope="module")
def laft(request: pytest.FixtureRequest, runs: Callable[[TagLayout], Run]) -> Run:
    """mBART-cc25's layout, or the parameter's."""
    return runs(getattr(request, "param", TagLayout.SUFFIX))


@pytest.fixture(scope="module")
def model_file(laft: Run) -> Path:
    """sentencepiece's model where a user has it: beside the backbone."""
    return tiny_text.write_sentencepiece(laft.backbone.with_name("sentence.bpe.model"))


def generated(
    checkpoint: Path, text: str | bytes, *flags: str | Path, patch: pytest.MonkeyPatch
) -> tuple[int, list[str]]:
    """Exit status and lines of `laft generate` for what it reads."""
    raw = text.encode() if isinstance(text, str) else text
    out = io.TextIOWrapper(io.BytesIO())
    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    patch.setattr(sys, "stdout", out)
    status = main(
        ["generate", "--checkpoint", str(checkpoint), "--device", "cpu", *map(str, flags)]
    )
    patch.undo()
    out.flush()
    written = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert written == "" or written.endswith("\n")
    return status, written.split("\n")[:-1]


def repeating(lines: list[str]) -> int:
    """How many of fairseq-generate's hypotheses have a pair of pieces twice."""
    texts = [line.split("\t")[2].split() for line in lines if line.startswith("H-")]
    assert len(texts) == 10
    pairs = [list(pairwise(text)) for text in texts]
    return sum(len(set(pairs_of_text)) < len(pairs_of_text) for pairs_of_text in pairs)


@BOTH_LAYOUTS
def test_hypotheses_are_fairseq_generates(
    laft: Run, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts, ranks and scores; the binarised test set there, its raw lines with blanks here."""
    bpe = ("--bpe", "sentencepiece", "--sentencepiece-model", model_file)
    task = ("--task", "laft_generation", "--gen-lang", "fr_XX")
    expected: dict[int, list[tuple[str, float]]] = {}
    assert repeating(tiny.generate(laft.data, laft.stage2, *task, *SEARCH[:-2])) > 0
    assert repeating(tiny.generate(laft.data, laft.stage2, *task, *SEARCH)) == 0
    for line in tiny.generate(laft.data, laft.stage2, *task, *bpe, *SEARCH):
        if line.startswith("D-"):
            number, score, text = line.removeprefix("D-").split("\t")
            expected.setdefault(int(number), []).append((text, float(score)))
    assert [len(expected[n]) for n in range(5)] == [2] * 5

    lines = tiny_text.raw("fr_XX", 5, seed=2)
    given = "\n".join([lines[0], "", *lines[1:3], "  ", *lines[3:]])  # no line end at the end
    flags = ("--lang", "fr_XX", *SEARCH)
    status, lines_out = generated(laft.stage2, given, *flags, patch=monkeypatch)
    assert status == 0
    rows = [line.split("\t") for line in lines_out]
    assert [row[:2] for row in rows] == [[str(n), str(r)] for n in range(1, 8) for r in (1, 2)]
    blank = [row for row in rows if row[0] in ("2", "5")]
    assert [row[2:] for row in blank] == [["0.0000", ""]] * 4
    written = [row for row in rows if row not in blank]
    wanted = [pair for n in range(5) for pair in expected[n]]
    assert [row[3] for row in written] == [text for text, _ in wanted]
    assert [float(row[2]) for row in written] == pytest.approx(
        [score for _, score in wanted], abs=2e-4
    )
    assert len({score for _, score in wanted}) > 5

    one = ("--lang", "fr_XX", *SEARCH[:6], *SEARCH[8:], "--buffer-size", "2", "--max-tokens", "20")
    status, plain = generated(laft.stage2, given, *one, patch=monkeypatch)
    assert plain == [row[3] for row in rows if row[1] == "1"]


def test_json_lines_keep_their_other_fields(
    laft: Run, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ensemble of both stages that samples; then the words that an output has to contain."""
    texts = tiny_text.raw("fr_XX", 3, seed=2)
    records: list[dict[str, Any]] = [
        {"id": n, "article": text, "über": ["é", None], "constraints": ["w1c1"]}
        for n, text in enumerate(["", *texts])
    ]
    given = "".join(f"{json.dumps(record)}\n" for record in records)
    flags = ("--lang", "fr_XX", "--input-format", "jsonl", "--source-column", "article",
             "--max-len-b", "9")  # fmt: skip
    drawn = ("--beam", "2", "--nbest", "2", "--sampling", "--sampling-topk", "5", "--seed", "4",
             "--scores", "--output-column", "headlines")  # fmt: skip
    other = laft.stage1
    both = ("--checkpoint", laft.stage2, other)
    status, lines = generated(laft.stage2, given, *both, *flags, *drawn, patch=monkeypatch)
    assert status == 0
    outputs = [json.loads(line) for line in lines]
    kept = [{k: v for k, v in one.items() if k in records[0]} for one in outputs]
    assert kept == records and all("\\u" not in line for line in lines)
    assert outputs[0]["headlines"] == ["", ""] and outputs[0]["score"] == [0, 0]
    assert all(len(one["headlines"]) == 2 and len(one["score"]) == 2 for one in outputs)
    pair = hub.load([laft.stage2, other], device="cpu")
    torch.manual_seed(4)
    beams = pair.hypotheses(["", *texts], "fr_XX", beam=2, nbest=2, sampling=True, sampling_topk=5,
                            max_len_b=9)  # fmt: skip
    assert [one["headlines"] for one in outputs] == [[h.text for h in beam] for beam in beams]

    _, lines = generated(laft.stage2, given, *flags, "--constraints", patch=monkeypatch)
    assert ["w1c1" in json.loads(line)["output"] for line in lines] == [False, True, True, True]


@BOTH_LAYOUTS
def test_the_hub_and_another_language(
    laft: Run, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole checkpoint alone in a folder, given its two folders; French in, Chinese out."""
    exported = tmp_path / "whole.pt"
    assert main(["export", "--checkpoint", str(laft.stage2), "--out", str(exported)]) == 0
    loaded = hub.load(str(exported), str(laft.data), str(model_file), device="cpu")
    texts = tiny_text.raw("fr_XX", 3, seed=2)
    search: dict[str, Any] = {"beam": 2, "max_len_b": 5, "nbest": 2}
    in_chinese = list(loaded.hypotheses(texts, "fr_XX", "zh_CN", **search))
    in_french = list(loaded.hypotheses(texts, "fr_XX", **search))
    assert [one.score for one, _ in in_chinese] != [one.score for one, _ in in_french]
    flags = ("--lang", "fr_XX", "--output-lang", "zh_CN", "--beam", "2", "--max-len-b", "5")
    status, lines = generated(laft.stage2, "\n".join(texts), *flags, patch=monkeypatch)
    assert (status, lines) == (0, [best.text for best, _ in in_chinese])


@BOTH_LAYOUTS
def test_an_exported_folder_needs_nothing_else(
    laft: Run, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere, with backbone, data and sentencepiece model out of reach, the same outputs."""
    texts = tiny_text.raw("fr_XX", 5, seed=2)
    given, flags = "\n".join(texts), ("--lang", "fr_XX", *SEARCH)
    expected = generated(laft.stage2, given, *flags, patch=monkeypatch)
    assert main(["export", "--checkpoint", str(laft.stage2), "--out", str(tmp_path / "out")]) == 0
    folder = (tmp_path / "out").rename(tmp_path / "elsewhere")
    files = {"model.pt", "dict.txt", "langs.txt", "tag-layout.txt", "sentence.bpe.model"}
    assert {path.name for path in folder.iterdir()} == files
    home, away = laft.data.parent, laft.data.parent.with_name("away")
    home.rename(away)
    try:
        assert generated(folder, given, *flags, patch=monkeypatch) == expected
        loaded = hub.load(folder, device="cpu")
        again = [f"{n}\t1" for n in range(1, 6)]
        beams = loaded.generate(texts, "fr_XX", beam=3, lenpen=0.7, max_len_b=6,
                                no_repeat_ngram_size=2)  # fmt: skip
        assert [f"{first}\t{text}" for first, text in zip(again, beams, strict=True)] == [
            "\t".join([line.split("\t")[0], "1", line.split("\t")[3]]) for line in expected[1][::2]
        ]
        flags = ("--task", "laft_generation", "--gen-lang", "fr_XX", "--beam", "2")
        lines = tiny.interactive(folder, folder / "model.pt", "▁w6 c6\n", *flags)
        assert any(line.startswith("H-0") for line in lines)
    finally:
        away.rename(home)


def test_progress_and_the_order_of_lines(
    laft: Run, model_file: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """From a file the time left is known, from a pipe what is done."""
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    (tmp_path / "in.txt").write_text("w6c6\n" * 4 + "w7c7", encoding="utf-8")
    flags = ["--lang", "fr_XX", "--max-len-b", "2", "--batch-size", "2", "--device", "cpu"]
    with (tmp_path / "in.txt").open(encoding="utf-8") as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", file)
        assert main(["generate", "--checkpoint", str(laft.stage2), *flags]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 5
    assert "laft: generating: 2 of 5 lines, 00:00 left" in shown.err
    assert generated(laft.stage2, "w6c6\n", "--lang", "fr_XX", patch=monkeypatch)[0] == 0


def test_a_full_disk_under_the_output_is_one_line(
    laft: Run, model_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--lang", "fr_XX", "--max-len-b", "2", "--device", "cpu"]
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"w6c6\n")))
        patch.setattr(sys, "stdout", full)
        assert main(["generate", "--checkpoint", str(laft.stage2), *flags]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert line == "laft: error: standard output: No space left on device"


@pytest.mark.parametrize(
    ("flags", "given", "message"),
    [
        (("--lang", "de_DE"), "w6c6\n", "--lang: unknown language de_DE"),
        (("--lang", "fr_XX"), b"w6c6\nw6\xe9\n", "standard input: line 2 is not UTF-8"),
        (
            ("--lang", "fr_XX", "--data", "nowhere"),
            "w6c6\n",
            f"{CHECKPOINT}: no dict.txt in nowhere",
        ),
        ((*JSON, "--lang", "fr_XX"), "w6c6\n", "standard input: line 1 is no JSON object"),
        (
            (*JSON, "--lang", "fr_XX"),
            '{"t": "a"}\n',
            "standard input: line 1: no text in the field",
        ),
        (
            (*JSON, "--lang", "fr_XX"),
            '{"text": "a", "output": 3}\n',
            "standard input: line 1: has a field 'output' or",
        ),
    ],
)
def test_wrong_input_is_one_line_and_no_output(
    laft: Run, model_file: Path, flags: tuple[str, ...], given: str | bytes, message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    status, lines = generated(laft.stage2, given, *flags, patch=monkeypatch)
    assert (status, lines) == (2, [])
    (error,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert error.startswith(f"laft: error: {message.replace(CHECKPOINT, str(laft.stage2))}")
