"""Sentence representations: the same as one text at a time, in the order asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from laft_fairseq.analysis import representations
from laft_fairseq.data.tagged_texts import TaggedTexts
from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_task import LaftTask
from tests import tiny

COUNT = 12


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> LaftTask:
    data = tiny.write_data(tmp_path_factory.mktemp("data"), COUNT)
    tiny.write_texts(data / "fr_XX" / "both.src-tgt.src", [[5, 2]])
    tiny.write_texts(data / "fr_XX" / "both", [[6, 2], [7, 2]])
    tiny.write_texts(data / "fr_XX" / "hole", [[2], [5, 6, 2]])
    return tiny.task(data=str(data))


@pytest.fixture(scope="module")
def model() -> LAFTMBart:
    built = tiny.model()
    tiny.scramble(built.encoder.task_module)
    tiny.scramble(built.encoder.fusion)
    return built


def alone(model: LAFTMBart, texts: TaggedTexts, row: int) -> dict[str, np.ndarray]:
    """A text's (T, d) states from its own unpadded pass, without `</s>` and its tag."""
    tokens = texts[row].unsqueeze(0)  # (1, T)
    with torch.no_grad():
        states = model.encoder.representations(tokens, model.encoder.forward_backbone(tokens))
    by_stage = {"e": states.e, "r": states.r, "fused": states.fused}
    return {stage: state[:-2, 0].double().numpy() for stage, state in by_stage.items()}


@pytest.mark.parametrize("max_tokens", [1, 40, 8192])
def test_batches_and_padding_change_nothing(
    model: LAFTMBart, task: LaftTask, max_tokens: int
) -> None:
    texts = representations.read_lines(task, "en_XX", "train")
    rows = [7, 0, 11, 3, 4]
    states = representations.represent(model, texts, rows, max_tokens)
    assert set(states) == {"e", "r", "fused"}
    for place, row in enumerate(rows):
        for stage, expected in alone(model, texts, row).items():
            assert states[stage].dtype == np.float32
            np.testing.assert_allclose(states[stage][place], expected.mean(0), atol=2e-6)


@pytest.mark.parametrize("max_tokens", [1, 8192])
def test_sampled_tokens_are_the_texts_own(
    model: LAFTMBart, task: LaftTask, max_tokens: int
) -> None:
    """Each of them stands in its own text's states; batches do not change the draw."""
    texts, rows = representations.read_lines(task, "en_XX", "train"), [7, 0, 11, 3]
    sample = representations.TokenSample(3, seed=5)
    representations.represent(model, texts, rows, max_tokens, sample)
    owners = np.asarray(sample.sentences)
    counts = [min(3, len(texts[row]) - 2) for row in rows]
    assert owners.tolist() == [n for n, count in enumerate(counts) for _ in range(count)]
    whole = representations.TokenSample(3, seed=5)
    representations.represent(model, texts, rows, 8192, whole)
    for place, row in enumerate(rows):
        for stage, state in alone(model, texts, row).items():  # (T, d)
            drawn = sample.stage(stage)[owners == place]
            apart = np.abs(drawn[:, None] - state[None]).max(2)  # (n, T)
            assert (apart.min(1) < 1e-5).all()
            assert len(set(apart.argmin(1))) == len(drawn)
            np.testing.assert_allclose(drawn, whole.stage(stage)[owners == place], atol=1e-5)
    other = representations.TokenSample(3, seed=6)
    representations.represent(model, texts, rows, 8192, other)
    assert not np.allclose(other.stage("e"), whole.stage("e"), atol=1e-3)


def test_removal_takes_s_l_from_the_mean(model: LAFTMBart, task: LaftTask) -> None:
    texts = representations.read_lines(task, "zh_CN", "train")
    states = representations.represent(model, texts, range(COUNT))
    c = tiny.numpy(model.encoder.language_components["zh_CN"].components)  # (d, k)
    e = states["e"].astype(np.float64)
    s = e @ c @ c.T / np.linalg.norm(e, axis=1, keepdims=True)
    np.testing.assert_allclose(states["r"], e - s, atol=2e-6)


def test_the_tag_before_the_text(task: LaftTask) -> None:
    """In mBART-50's layout the text's own tokens are those after the tag."""
    built = tiny.model(layout="prefix")
    prefix = tiny.task(data=task.cfg.data, tag_layout="prefix")
    texts = representations.read_lines(prefix, "en_XX", "train")
    assert int(texts[2][0]) == prefix.tag_ids["en_XX"]
    states = representations.represent(built, texts, [2, 5])
    for place, row in enumerate([2, 5]):
        with torch.no_grad():
            e = built.encoder.forward_backbone(texts[row].unsqueeze(0))["encoder_out"][0]
        np.testing.assert_allclose(states["e"][place], e[1:-1, 0].mean(0).numpy(), atol=2e-6)


def test_a_method_without_task_module_has_e_alone(task: LaftTask) -> None:
    texts = representations.read_lines(task, "fr_XX", "test")
    states = representations.represent(tiny.model(method="mbart_full"), texts, [0, 1])
    assert {stage: rows.shape for stage, rows in states.items()} == {"e": (2, tiny.D)}


def test_an_empty_text_is_a_row_of_zeros(model: LAFTMBart, task: LaftTask) -> None:
    texts = representations.read_lines(task, "fr_XX", "hole")
    assert len(texts) == 2
    e = representations.represent(model, texts, [0, 1])["e"]
    assert not e[0].any()
    assert e[1].any()
    assert len(representations.read_lines(task, "fr_XX", "both")) == 1  # pairs come first


def test_what_is_refused(model: LAFTMBart, task: LaftTask) -> None:
    data = Path(task.cfg.data)
    with pytest.raises(LaftError, match="no dev texts for language fr_XX") as caught:
        representations.read_lines(task, "fr_XX", "dev")
    assert str(data / "fr_XX" / "dev") in str(caught.value)
    with pytest.raises(LaftError, match="unknown language xx_XX"):
        representations.read_lines(task, "xx_XX", "test")
    bare = tiny.model(components=False)
    texts = representations.read_lines(task, "en_XX", "test")
    with pytest.raises(LaftError, match="no language components for en_XX"):
        representations.represent(bare, texts, [0])
    with pytest.raises(ValueError, match="in eval"):
        representations.represent(bare.train(), texts, [0])


@pytest.mark.parametrize(
    ("available", "wanted", "rows"),
    [(3, 5, [0, 1, 2]), (5, 5, [0, 1, 2, 3, 4]), (10, 4, [0, 2, 5, 7]), (0, 4, [])],
)
def test_spread(available: int, wanted: int, rows: list[int]) -> None:
    assert representations.evenly_spaced_indices(available, wanted) == rows
