"""mBART-50's tag layout, `[l] X </s>`, through every command: components, both stages, outputs."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from laft_fairseq import register  # noqa: F401  registers the criterion in this process
from laft_fairseq.checkpoints.header import pop_header
from laft_fairseq.cli.main import main
from laft_fairseq.hub.loading import load_model
from laft_fairseq.languages.layout import TagLayout
from tests import tiny
from tests.integration.conftest import SAVING, Run
from tests.integration.test_generate import FLAGS, MARKS, outputs


@pytest.fixture
def mbart50(runs: Callable[[TagLayout], Run]) -> Run:
    """The data's tag-layout.txt is all that says it; English is annotated."""
    return runs(TagLayout.PREFIX)


def test_outputs_and_their_scores(mbart50: Run) -> None:
    """fairseq-generate's positional scores are the teacher-forced ones of `</s> [l] Y`."""
    lines = tiny.generate(mbart50.data, mbart50.stage2, *FLAGS, "--gen-lang", "zh_CN")
    texts, scores = outputs(lines), outputs(lines, "P")
    assert sorted(texts) == list(range(5))
    assert not any(MARKS.search(text) for text in texts.values())
    assert outputs(lines, "S")[0].startswith("[zh_CN] ")
    targets = [" ".join(tiny.dictionary()[token] for token in text[:2])
               for text in tiny.random_texts("zh_CN", 5, seed=2)]  # fmt: skip
    assert [outputs(lines, "T")[n] for n in range(5)] == targets
    model, task = load_model(str(mbart50.stage2), str(mbart50.data))
    for number, text in enumerate(tiny.random_texts("zh_CN", 5, seed=2)):
        written = [*tiny.ids(texts[number]), 2]
        source = torch.tensor([[task.tag_ids["zh_CN"], *text]])
        previous = torch.tensor([[2, task.tag_ids["zh_CN"], *written[:-1]]])
        with torch.no_grad():
            logits, _ = model(source, None, previous)
        expected = logits.log_softmax(2)[0, 1:].gather(1, torch.tensor(written)[:, None])[:, 0]
        bits = torch.tensor([float(score) for score in scores[number].split()])
        torch.testing.assert_close(bits * math.log(2), expected, rtol=0, atol=2e-4)


def test_given_references_are_scored(mbart50: Run) -> None:
    """Y and `</s>`, without the tag, with which the search would begin."""
    flags = (*FLAGS, "--gen-lang", "fr_XX", "--score-reference")
    lines = tiny.generate(mbart50.data, mbart50.stage2, *flags)
    assert outputs(lines) == outputs(lines, "T")
    lengths = [len(scores.split()) for scores in outputs(lines, "P").values()]
    assert lengths == [3] * 5


def test_another_layout_is_refused(mbart50: Run, tmp_path: Path) -> None:
    """By option or by data without the file: the backbone, its components, the checkpoints."""
    for checkpoint in (mbart50.stage1, mbart50.stage2):
        header, _ = pop_header(torch.load(checkpoint, weights_only=True)["model"])
        assert header is not None
        assert (header.kind, header.tag_layout) == ("slim", "prefix")
    flags = ("--tag-layout", "suffix")
    with pytest.raises(Exception, match=r"checkpoint_last\.pt: trained with the tag layout prefix"):
        tiny.generate(mbart50.data, mbart50.stage2, *FLAGS, *flags)
    with pytest.raises(Exception, match="tag layout"):
        tiny.train(mbart50.data, tmp_path, "denoising", *mbart50.parts, *flags)


def test_the_adversary_and_the_measures_of_figure_2(mbart50: Run, tmp_path: Path) -> None:
    run = tiny.train(
        mbart50.data, tmp_path / "adv", "generation", "--method", "tm_adv_frozen", "--backbone",
        mbart50.backbone, "--criterion", "laft_adversarial", "--train-langs", "en_XX",
        "--target-langs", "fr_XX,zh_CN", "--reconstruct-target", "--max-update", "2", *SAVING,
    )  # fmt: skip
    assert all(torch.isfinite(tensor).all() for tensor in run["model"].values())
    numbers = tmp_path / "n.json"
    flags = ("--checkpoint", mbart50.stage2, "--data", mbart50.data, "--langs", "en_XX,fr_XX",
             "--split", "train", "--measures-only", "--cpu", "--json", numbers)  # fmt: skip
    assert main(["tsne", *map(str, flags)]) == 0
    stages = [panel["stage"] for panel in json.loads(numbers.read_text())["panels"]]
    assert stages == ["e", "r", "fused"]
