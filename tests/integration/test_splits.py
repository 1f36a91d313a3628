"""Which texts a command reads, by whatever name: --train-subset, --gen-lang, --max-tokens."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq import register  # noqa: F401  registers the criterion in this process
from tests import tiny
from tests.integration.conftest import SAVING, Run
from tests.integration.test_bad_input import said

ONE = ("--max-update", "1", *SAVING)


@pytest.fixture
def renamed(laft: Run, tmp_path: Path) -> Path:
    """The data, its training texts under another name alone."""
    data = Path(shutil.copytree(laft.data, tmp_path / "data-bin"))
    for tag in tiny.TAGS:
        for file in list((data / tag).glob("train*")):
            file.rename(file.with_name(file.name.replace("train", "small", 1)))
    return data


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(
        torch.equal(one["model"][n], t) for n, t in other["model"].items() if "laft." not in n
    )


@pytest.mark.parametrize(
    ("stage", "flags"),
    [
        ("denoising", ("--method", "mbart_enc", "--train-langs", "en_XX,fr_XX")),
        ("generation", ("--method", "tm_adv", "--train-langs", "en_XX", "--target-langs", "fr_XX",
                        "--criterion", "laft_adversarial")),
    ],
)  # fmt: skip
def test_a_training_split_of_another_name_trains_alike(
    laft: Run, renamed: Path, tmp_path: Path, stage: str, flags: tuple[str, ...]
) -> None:
    """The languages of --train-langs, noise, sampling and target rows, not the validation's."""
    more = (*flags, "--backbone", laft.backbone, "--valid-langs", "zh_CN", *ONE)
    usual = tiny.train(laft.data, tmp_path / "usual", stage, *more)
    other = tiny.train(renamed, tmp_path / "other", stage, *more, "--train-subset", "small")
    assert same(usual, other)


@pytest.mark.parametrize(("task", "split"), [("laft_generation", "train"),
                                             ("laft_denoising", "valid")])  # fmt: skip
def test_the_language_named_is_generated_in_every_split(laft: Run, task: str, split: str) -> None:
    flags = ("--task", task, "--gen-lang", "fr_XX", "--gen-subset", split, "--max-len-b", "3")
    lines = tiny.generate(laft.data, laft.stage2, *flags, "--beam", "1", "--train-langs", "en_XX")
    sources = [line for line in lines if line.startswith("S-")]
    assert len(sources) == (20 if split == "train" else 5)
    assert all(line.endswith("[fr_XX]") for line in sources)


LONG = tuple("\u2581w1 c1".split() * 9)  # 20 tokens with </s> and tag


@pytest.fixture
def long_texts(laft: Run, tmp_path: Path) -> Path:
    """Data with an English text of 20 tokens in each split; the others have 14 or fewer."""
    data = Path(shutil.copytree(laft.data, tmp_path / "data-bin"))
    text = [*tiny.ids(" ".join(LONG)), 2]
    for split, count in (("train", 20), ("valid", 5), ("test", 5)):
        texts = [text, *tiny.random_texts("en_XX", count - 1)]
        for name in (split, f"{split}.src-tgt.src"):
            tiny.write_texts(data / "en_XX" / name, texts)
    return data


@pytest.mark.parametrize("stage", ["denoising", "generation"])
def test_texts_beyond_a_batch_are_cut_and_counted(
    laft: Run, long_texts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, stage: str
) -> None:
    """--max-tokens 16: fairseq would leave the training text out, and fail at the other."""
    flags = ("--method", "mbart_enc", "--backbone", laft.backbone, "--train-langs", "en_XX",
             "--max-tokens", "16", "--max-epoch", "1", "--no-save")  # fmt: skip
    seen: list[int] = []
    with caplog.at_level(logging.INFO), pytest.MonkeyPatch.context() as patch:
        watch(patch, seen)
        with pytest.raises(FileNotFoundError):  # nothing was saved
            tiny.train(long_texts, tmp_path / "run", stage, *flags)
    name = "train" if stage == "denoising" else "train.src-tgt.src"
    assert f"en_XX/{name}: 1 of 20 examples cut to 16 tokens" in caplog.text
    assert f"en_XX/{name.replace('train', 'valid')}: 1 of 5 examples cut to 16" in caplog.text
    assert "skipped" not in caplog.text
    assert sum(seen) == 20


def watch(patch: pytest.MonkeyPatch, seen: list[int]) -> None:
    """Note how many texts each training batch has."""
    from laft_fairseq.tasks.laft_task import LaftTask

    stock = LaftTask.train_step

    def train_step(self: LaftTask, sample: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(len(sample["id"]))
        return stock(self, sample, *args, **kwargs)

    patch.setattr(LaftTask, "train_step", train_step)


def test_adversarial_rows_share_a_batch(
    laft: Run, long_texts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An annotated row and a target row padded to 16 tokens each are the 32 that are allowed."""
    flags = ("--method", "tm_adv", "--backbone", laft.backbone, "--train-langs", "en_XX",
             "--target-langs", "fr_XX", "--criterion", "laft_adversarial", "--max-tokens", "32",
             *ONE)  # fmt: skip
    with caplog.at_level(logging.INFO):
        tiny.train(long_texts, tmp_path / "run", "generation", *flags)
    assert (
        "train: --max-tokens leaves 16 tokens to a row, as a batch holds at least 2" in caplog.text
    )
    assert "en_XX/train.src-tgt.src: 1 of 20 examples cut to 16 tokens" in caplog.text


def test_generation_cuts_nothing_for_a_batch(laft: Run, long_texts: Path) -> None:
    """Outputs and references would depend on --max-tokens: it is refused in a line."""
    flags = ("--task", "laft_generation", "--gen-lang", "en_XX", "--max-len-b", "3")
    lines = tiny.generate(long_texts, laft.stage2, *flags, "--max-tokens", "20")
    assert len([line for line in lines if line.startswith("H-")]) == 5
    source = long_texts / "en_XX" / "test.src-tgt.src"
    line = said(lambda: tiny.generate(long_texts, laft.stage2, *flags, "--max-tokens", "16"))
    assert line.startswith(f"--max-tokens 16: an example of {source} has 20, and none is skipped")
    more = ("--max-tokens", "16", "--buffer-size", "1")
    line = said(lambda: tiny.interactive(long_texts, laft.stage2, " ".join(LONG), *flags, *more))
    assert line.startswith("--max-tokens 16: an example of input in en_XX has 20")
