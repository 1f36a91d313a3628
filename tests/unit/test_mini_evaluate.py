"""The small backbone's measurements, against numbers worked out one text at a time."""

import importlib
import lzma
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny

MASK = tiny.ids("<mask>")[0]


@pytest.fixture(scope="module")
def tools(repository: Path) -> dict[str, ModuleType]:
    """The modules of `examples/mini`, which its scripts import by their bare names."""
    folder = str(repository / "examples" / "mini")
    sys.path.insert(0, folder)
    try:
        names = ("evaluate", "held_out", "retrieval")
        return {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.write_data(tmp_path_factory.mktemp("data"))
    for tag in tiny.TAGS:
        tiny.write_texts(folder / tag / "valid", tiny.random_texts(tag, 40, seed=9))
    return folder


@pytest.fixture(scope="module")
def model() -> LAFTMBart:
    return tiny.model("denoising", method="mbart_full")


@pytest.fixture(scope="module")
def held(tools: dict[str, ModuleType], data: Path, model: LAFTMBart) -> tuple[Any, Any]:
    """The task, and each language's noised validation texts."""
    return tools["held_out"].validation(str(data), model)  # type: ignore[no-any-return]


def test_the_held_out_languages_may_be_chosen(
    tools: dict[str, ModuleType], held: tuple[Any, Any], data: Path, model: LAFTMBart
) -> None:
    """Those of a backbone that knows more than there is text of; their noise is the same."""
    _, texts = tools["held_out"].validation(str(data), model, ["zh_CN", "en_XX"])
    assert list(texts) == ["zh_CN", "en_XX"]
    for tag, noised in texts.items():
        assert torch.equal(noised[0]["source"], held[1][tag][0]["source"])


@pytest.mark.parametrize("tag", tiny.TAGS)
def test_what_is_not_hidden_is_what_is_seen(
    tools: dict[str, ModuleType], held: tuple[Any, Any], tag: str
) -> None:
    texts = held[1][tag]
    some = 0
    for row in range(len(texts)):
        hidden = tools["held_out"].hidden_tokens(texts, row)
        item = texts[row]
        assert len(hidden) == len(item["target"]) - 1
        seen = item["source"][item["source"] != MASK]
        assert item["target"][:-1][~hidden].tolist() == seen[:-1].tolist()
        assert not hidden[-1], "</s> is never masked"
        some += int(hidden.sum())
    assert some > len(texts)


def test_the_noise_is_that_of_training(held: tuple[Any, Any], data: Path) -> None:
    task = tiny.task("denoising", data=str(data), seed=1)
    task.load_dataset("valid")
    size = len(held[1]["en_XX"])
    for place, tag in enumerate(tiny.TAGS):
        assert torch.equal(
            held[1][tag][3]["source"], task.datasets["valid"][place * size + 3]["source"]
        )


def test_unigram(tools: dict[str, ModuleType]) -> None:
    scores = tools["held_out"].unigram([torch.tensor([5, 5, 2]), torch.tensor([6, 2])], 10)
    expected = np.ones(10)
    expected[[2, 5, 6]] += [2, 2, 1]
    np.testing.assert_allclose(scores, np.log(expected / 15))


def test_perplexity(tools: dict[str, ModuleType], held: tuple[Any, Any], model: LAFTMBart) -> None:
    texts, rows = held[1]["fr_XX"], [7, 0, 31]
    filler = -np.arange(1.0, len(texts.dictionary) + 1)
    report = tools["held_out"].denoising(model, texts, rows, filler)
    scores, fillers, hidden = [], [], []
    for row in rows:
        item = texts[row]
        before = torch.cat([item["target"][-1:], item["target"][:-1]])  # [l] X </s>
        with torch.no_grad():
            out = model(item["source"][None], torch.tensor([len(item["source"])]), before[None])[0]
        for place, token in enumerate(item["target"][:-1].tolist()):
            scores.append(float(torch.log_softmax(out[0, place].double(), 0)[token]))
            fillers.append(-(token + 1.0))
        hidden += tools["held_out"].hidden_tokens(texts, row).tolist()
    for name, chosen in (("all", np.ones(len(hidden), bool)), ("hidden", np.array(hidden))):
        assert report[name]["tokens"] == chosen.sum()
        expected = np.exp(-np.array(scores)[chosen].mean())
        assert report[name]["perplexity"] == pytest.approx(expected, rel=1e-4)
        assert report[name]["unigram"] == pytest.approx(np.exp(-np.array(fillers)[chosen].mean()))


@pytest.mark.parametrize(
    ("a", "b", "left", "lost"),
    [
        ("XSel is a tool", "XSel 是命令行工具", ("is a tool", "是命令行工具"), [1 / 4, 1]),
        ("the mp3 of MPD", "le mpd, un MP3", ("the of", "le , un"), [2 / 4, 2 / 4]),
        ("l'été", "Été 2", ("l'", "2"), [1 / 2, 1 / 2]),
        ("tool", "outil", ("tool", "outil"), [0, 0]),
        ("", "工具", ("", "工具"), [0, 0]),
    ],
)
def test_shared_words_are_left_out(
    tools: dict[str, ModuleType], a: str, b: str, left: tuple[str, str], lost: list[float]
) -> None:
    first, second, shares = tools["retrieval"].without_shared(a, b)
    assert (first, second) == left
    assert shares == pytest.approx(lost)


class Tokenizer:
    """In place of a sentencepiece model: a text is its entries of the dictionary."""

    def encode(self, text: str) -> torch.Tensor:
        return torch.tensor([*tiny.ids(text), 2])


DESCRIPTIONS = ["一 二 三", "四 五", "六 七 八 八", "二 二 五"]
SIDES = {"en_XX": DESCRIPTIONS, "zh_CN": DESCRIPTIONS}


def test_retrieval_after_removal(
    tools: dict[str, ModuleType], held: tuple[Any, Any], model: LAFTMBart
) -> None:
    """c_L that spans everything leaves nothing: the first text is every text's nearest."""
    measure = tools["retrieval"].pair_retrieval
    none = dict.fromkeys(SIDES, torch.eye(tiny.D)[:, :0])
    report = measure(model, held[0], Tokenizer(), SIDES, none)
    assert report["pairs"] == 4 and report["encoder"]["chance"] == 0.25
    for kind in ("surface", "surface_centred"):
        assert report[kind] == {"forward": 1.0, "backward": 1.0, "chance": 0.25}
    assert report["after_removal"] == dict.fromkeys(("scaled", "projection"), report["encoder"])
    everything = dict.fromkeys(SIDES, torch.eye(tiny.D))
    report = measure(model, held[0], Tokenizer(), SIDES, everything)
    assert report["after_removal"]["scaled"] == report["encoder"]  # shorter, the same direction
    assert report["after_removal"]["projection"]["forward"] == 0.25
    page = tools["evaluate"].markdown({"retrieval": {"en_XX-zh_CN": report}})
    row = [cell.strip() for cell in page.splitlines()[-1].split("|")[1:-1]]
    assert row[3:] == ["after removal, projection", "0.25", "0.25", "0.25"]


def test_descriptions(tools: dict[str, ModuleType], tmp_path: Path) -> None:
    """Translations are matched by the digest of the original, in the first language's order."""

    def write(name: str, rows: list[tuple[str, ...]]) -> None:
        with lzma.open(tmp_path / f"{name}.test.tsv.xz", "wt", encoding="utf-8") as file:
            file.writelines("\t".join(row) + "\n" for row in rows)

    write("en_XX", [(f"package{n}", f"md5-{n}", f"a{n} ⏎ text", "short") for n in range(5)])
    write("de", [(f"other{n}", f"md5-{n}", f"b{n}", "short") for n in (4, 7, 0, 2)])
    write("zh_CN", [("other", "md5-4", "c", "short")])
    write("fr_XX", [("a", "b")])
    read, parallel = tools["retrieval"].read_descriptions, tools["retrieval"].parallel
    sides = {tag: read(tmp_path, tag) for tag in ("en_XX", "de_DE")}
    assert parallel(sides, 2) == {"en_XX": ["a0 ⏎ text", "a2 ⏎ text"], "de_DE": ["b0", "b2"]}
    assert parallel(sides, 10)["de_DE"] == ["b0", "b2", "b4"]
    with pytest.raises(LaftError, match="the tests of en_XX and zh_CN share 1"):
        parallel({"en_XX": sides["en_XX"], "zh_CN": read(tmp_path, "zh_CN")}, 10)
    with pytest.raises(LaftError, match=r"nl_XX\.test\.tsv\.xz: cannot be read"):
        read(tmp_path, "nl_XX")
    with pytest.raises(LaftError, match=r"fr_XX\.test\.tsv\.xz: needs rows of package"):
        read(tmp_path, "fr_XX")


def test_the_card(
    tools: dict[str, ModuleType], held: tuple[Any, Any], model: LAFTMBart, data: Path
) -> None:
    task, texts = held
    measure = tools["evaluate"].measure_held_out
    report = measure(data, model, task, texts, 6, 2)
    model.set_beam_size(1)  # beam search left its beam in the attention
    assert report == measure(data, model, task, texts, 6, 2)
    sample = report["reconstruction"]["zh_CN"]["samples"][0]
    assert "<mask>" in sample["noised"]
    assert "<mask>" not in sample["restored"] + sample["original"]
    share = {"forward": 0.5, "backward": 0.02, "chance": 0.002}
    pair = {"pairs": 500, "left_out": {"en_XX": 0.1, "fr_XX": 0.2}}
    pair |= dict.fromkeys(tools["evaluate"].KINDS, share)
    card = report | {"retrieval": {"en_XX-fr_XX": pair}}
    page = tools["evaluate"].markdown(card)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    assert ["en_XX-fr_XX", "500", "10.0%, 20.0%", "surface", "0.5", "0.02", "0.002"] in rows
    assert [row[:2] for row in rows].count(["zh_CN", "6"]) == 1


def test_wrong_input_is_one_line(
    tools: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: Path
) -> None:
    options = {"--model": tmp_path, "--data": data, "--ddtp": tmp_path, "--out": tmp_path / "c"}
    typed = ["evaluate.py", *(str(word) for pair in options.items() for word in pair)]

    def refused(message: str, *more: str) -> None:
        monkeypatch.setattr(sys, "argv", [*typed, *more])
        with pytest.raises(SystemExit, match=message):
            tools["evaluate"].main()

    refused(r"error: .*No such file.*dict\.txt")
    (tmp_path / "dict.txt").write_text("x")
    refused("--langs: name two", "--retrieval-only", "--langs", "en_XX")
    refused("en_XX is listed twice", "--retrieval-only", "--langs", "en_XX,en_XX")
    refused(r"dict.txt: not the same as \S+dict.txt$")
