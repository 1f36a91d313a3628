"""fairseq-generate and fairseq-interactive: as many outputs as inputs, in order, of text alone."""

import math
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.hub.loading import load_model
from laft_fairseq.languages.layout import TagLayout
from tests import tiny
from tests.integration.conftest import SAVING, Run

FLAGS = ("--task", "laft_generation", "--beam", "2", "--max-len-b", "6", "--batch-size", "3")
MARKS = re.compile(r"\[\w\w_\w\w\]|<unk>|<s>|</s>|<mask>|<pad>")
LIMIT = 6


@pytest.fixture(scope="module", params=list(TagLayout), ids=str)
def laft(request: pytest.FixtureRequest, runs: Callable[[TagLayout], Run]) -> Run:
    """In both tag layouts."""
    return runs(request.param)


def outputs(lines: list[str], kind: str = "H") -> dict[int, str]:
    """The texts of fairseq's `H-<number>` lines, by number."""
    fields = [line.split("\t") for line in lines if line.startswith(f"{kind}-")]
    numbers = [int(line[0].removeprefix(f"{kind}-")) for line in fields]
    assert len(set(numbers)) == len(numbers), "two outputs of one number"
    return dict(zip(numbers, [line[-1] for line in fields], strict=True))


def scores(lines: list[str]) -> list[float]:
    """The scores of fairseq's `H-<number>` lines, by number."""
    fields = [line.removeprefix("H-").split("\t") for line in lines if line.startswith("H-")]
    return [float(score) for _, score, *_ in sorted(fields, key=lambda line: int(line[0]))]


@pytest.fixture(scope="module")
def french(laft: Run) -> dict[int, str]:
    return outputs(tiny.generate(laft.data, laft.stage2, *FLAGS, "--gen-lang", "fr_XX"))


def test_an_output_for_each_text(french: dict[int, str]) -> None:
    assert sorted(french) == list(range(5))
    assert not any(MARKS.search(text) for text in french.values())


def test_half_precision_writes_an_output_for_each_text_too(
    laft: Run, french: dict[int, str]
) -> None:
    lines = tiny.generate(laft.data, laft.stage2, *FLAGS, "--gen-lang", "fr_XX", "--half")
    assert sorted(outputs(lines)) == sorted(french)
    full = tiny.generate(laft.data, laft.stage2, *FLAGS, "--gen-lang", "fr_XX")
    assert scores(lines) != scores(full)
    assert scores(lines) == pytest.approx(scores(full), abs=0.1)


def test_several_languages_at_once_are_numbered_throughout(
    laft: Run, french: dict[int, str]
) -> None:
    """The same texts in batches of mixed languages; French comes second."""
    hypotheses = outputs(tiny.generate(laft.data, laft.stage2, *FLAGS))
    assert sorted(hypotheses) == list(range(15))
    assert [hypotheses[5 + n] for n in range(5)] == [french[n] for n in range(5)]


def test_stage_1_restores_text(laft: Run) -> None:
    flags = ("--task", "laft_denoising", "--gen-lang", "zh_CN", *FLAGS[2:])
    lines = tiny.generate(laft.data, laft.stage1, *flags)
    assert sorted(outputs(lines)) == list(range(5))
    originals = [" ".join(tiny.dictionary()[t] for t in text[:-1])
                 for text in tiny.random_texts("zh_CN", 5, seed=2)]  # fmt: skip
    targets = outputs(lines, "T")
    assert [targets[n] for n in range(5)] == originals


def test_interactive_with_stage_1(laft: Run) -> None:
    """A masked text typed in comes out as a text, on the denoising task too."""
    flags = ("--task", "laft_denoising", "--gen-lang", "zh_CN", *FLAGS[2:], "--buffer-size", "3")
    lines = tiny.interactive(laft.data, laft.stage1, "一 <mask> 三\n四\n", *flags)
    assert sorted(outputs(lines)) == [0, 1]
    (source,) = tiny.laid_out(["一 <mask> 三 [zh_CN]"], laft.layout)
    assert outputs(lines, "S")[0] == source


def test_interactive_with_words_that_outputs_must_hold(laft: Run) -> None:
    flags = (*FLAGS, "--gen-lang", "zh_CN", "--buffer-size", "3", "--constraints")
    lines = tiny.interactive(laft.data, laft.stage2, "一 二\t七\n三 四\t八\n", *flags)
    assert ["七" in outputs(lines)[0], "八" in outputs(lines)[1]] == [True, True]


def test_an_empty_source_has_an_empty_output(laft: Run, french: dict[int, str]) -> None:
    """As in `laft generate`; the others' outputs stay as they are."""
    words = [" ".join(tiny.dictionary()[token] for token in text[:-1])
             for text in tiny.random_texts("fr_XX", 5, seed=2)]  # fmt: skip
    given = ["", *words[:2], " \t ", *words[2:], ""]
    flags = (*FLAGS, "--gen-lang", "fr_XX", "--buffer-size", "8", "--nbest", "2")
    lines = tiny.interactive(laft.data, laft.stage2, "\n".join(given) + "\n", *flags)
    hypotheses = [line.split("\t") for line in lines if line.startswith("H-")]
    blank = [fields for fields in hypotheses if fields[0] in ("H-0", "H-3", "H-7")]
    assert [fields[1:] for fields in blank] == [["0.0", ""]] * 6
    written = [fields[2] for fields in hypotheses if fields not in blank]
    assert written[::2] == [french[n] for n in range(5)]


def test_a_batch_of_empty_sources(laft: Run) -> None:
    model, task, generator = in_process(laft)
    task.cfg.gen_lang = "zh_CN"
    inputs = task.build_dataset_for_inference([torch.tensor([2])] * 2, [1, 1])
    batch = inputs.collater([inputs[0], inputs[1]])
    outputs = task.inference_step(generator, [model], batch)
    assert [[one["tokens"].tolist() for one in beam] for beam in outputs] == [[[2], [2]]] * 2


def test_scores_of_references_are_those_of_text_alone(laft: Run) -> None:
    """--score-reference: log2 p(Y </s>) a token, whatever the layout; no tag in H-, D- and T-."""
    flags = (*FLAGS, "--gen-lang", "fr_XX", "--score-reference")
    lines = tiny.generate(laft.data, laft.stage2, *flags)
    scored = [line.split("\t") for line in lines if line.startswith("H-")]
    assert sorted(fields[0] for fields in scored) == [f"H-{n}" for n in range(5)]
    assert outputs(lines) == outputs(lines, "T") == outputs(lines, "D")
    assert not any(MARKS.search(text) for text in outputs(lines).values())
    model, _, _ = in_process(laft)
    tag = f"[{'fr_XX'}]"
    for number, score, text in scored:
        source = tiny.random_texts("fr_XX", 5, seed=2)[int(number.removeprefix("H-"))]
        target = tiny.ids(f"{text} </s>")
        (given,) = tiny.decoder_inputs([f"{tag} {text}"], laft.layout)
        tokens = laft.layout.tagged(torch.tensor(source), *tiny.ids(tag))[None]
        with torch.no_grad():
            logits = model(tokens, None, torch.tensor([tiny.ids(given)]))[0][0]  # (T, V)
        lprobs = logits[laft.layout.lead :].log_softmax(-1)
        expected = lprobs.gather(1, torch.tensor(target)[:, None]).mean() / math.log(2)
        assert float(score) == pytest.approx(float(expected), abs=1e-4)


def test_references_to_score_are_needed(laft: Run) -> None:
    flags = (*FLAGS, "--gen-lang", "zh_CN", "--buffer-size", "3", "--score-reference")
    with pytest.raises(Exception, match="--score-reference: there are no references"):
        tiny.interactive(laft.data, laft.stage2, "一 二\n", *flags)


def test_alignments_are_refused(laft: Run) -> None:
    with pytest.raises(Exception, match="--print-alignment: attention weights are not computed"):
        tiny.generate(laft.data, laft.stage2, *FLAGS, "--print-alignment")


def test_a_text_longer_than_the_models_positions_is_cut(laft: Run) -> None:
    """Not skipped, and no error: 64 positions are 62 tokens, `</s>` and the tag."""
    flags = (*FLAGS, "--gen-lang", "zh_CN", "--buffer-size", "3")
    lines = tiny.interactive(laft.data, laft.stage2, f"一 二\n{'三 ' * 99}\n三 四\n", *flags)
    assert sorted(outputs(lines)) == [0, 1, 2]
    (source,) = tiny.laid_out(["三 " * 62 + "[zh_CN]"], laft.layout)
    assert outputs(lines, "S")[1] == source


def in_process(laft: Run) -> tuple[Any, Any, Any]:
    """Model, task and generator of stage 2's checkpoint."""
    model, task = load_model(str(laft.stage2), str(laft.data))
    beam = Namespace(beam=2, lenpen=1.0, max_len_a=0, max_len_b=LIMIT)
    return model, task, task.build_generator([model], beam)


def test_1_to_33_texts_give_1_to_33_outputs_in_order(laft: Run) -> None:
    """In batches as fairseq-generate makes them; each output equals its text's alone."""
    model, task, generator = in_process(laft)
    task.cfg.gen_lang = "fr_XX"
    texts = [torch.tensor(text) for text in tiny.random_texts("fr_XX", 33, seed=9)]
    alone: dict[int, list[int]] = {}
    for count in range(1, 34):
        lengths = [len(text) for text in texts[:count]]
        inputs = task.build_dataset_for_inference(texts[:count], lengths)
        batches = task.get_batch_iterator(inputs, max_sentences=8).next_epoch_itr(shuffle=False)
        numbers = []
        for batch in batches:
            numbers += batch["id"].tolist()
            if count in (1, 5, 33):
                beams = task.inference_step(generator, [model], batch)
                for number, hypotheses in zip(batch["id"].tolist(), beams, strict=True):
                    tokens = hypotheses[0]["tokens"].tolist()
                    assert alone.setdefault(number, tokens) == tokens
        assert sorted(numbers) == list(range(count))
    assert sorted(alone) == list(range(33))


def command(folder: Path, user_dir: str, *flags: str | Path) -> subprocess.CompletedProcess[str]:
    """fairseq-train in a process of its own, as typed in a folder."""
    program = str(Path(sys.executable).parent / "fairseq-train")
    fixed = ("--arch", "laft_mbart_tiny", "--user-dir", user_dir, "--optimizer", "adam",
             "--batch-size", "8", "--cpu", "--num-workers", "0", "--max-source-positions", "64",
             "--max-target-positions", "64")  # fmt: skip
    line = [program, *map(str, flags), *fixed]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_as_typed_from_the_root(
    runs: Callable[[TagLayout], Run], repository: Path, tmp_path: Path
) -> None:
    laft = runs(TagLayout.SUFFIX)
    done = command(
        repository, "laft_fairseq", laft.data, "--task", "laft_denoising", *laft.parts,
        "--max-update", "1", "--save-dir", tmp_path / "run", *SAVING,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run" / "checkpoint_last.pt").exists()


def test_wrong_input_ends_in_one_line_from_another_folder(
    runs: Callable[[TagLayout], Run], tmp_path: Path
) -> None:
    """The package by its path, and what a user sees of an error."""
    laft = runs(TagLayout.SUFFIX)
    done = command(
        tmp_path, str(tiny.PACKAGE), laft.data, "--task", "laft_generation", "--method",
        "mbart_full", "--train-langs", "de_DE", "--save-dir", tmp_path / "run", *SAVING,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert re.fullmatch(r"laft: error: --train-langs: unknown language de_DE; .* --new-langs", last)
    assert "Traceback" not in done.stderr
