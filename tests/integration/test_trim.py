"""The shipped small backbone trimmed to English, French and Chinese: data, logits, text."""

import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from laft_fairseq import hub
from laft_fairseq.cli import main
from laft_fairseq.hub.loading import load_model
from laft_fairseq.languages.dictionary import dictionary_tags

TAGS = ("en_XX", "fr_XX", "zh_CN")
TEXTS = 40  # a language


@pytest.fixture(scope="module")
def texts(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first rows of the tests, a TSV a language."""
    folder = tmp_path_factory.mktemp("texts")
    for tag in TAGS:
        source = repository / "examples" / "ddtp" / "data" / f"{tag}.test.tsv.xz"
        rows = lzma.decompress(source.read_bytes()).decode().split("\n")[:TEXTS]
        (folder / f"{tag}.tsv").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return folder


def test_a_trimmed_backbone_from_raw_text_to_raw_text(
    texts: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the pieces go; binarize.sh, the logits and greedy search give the same.

    The whole backbone writes no dropped piece here; where it did, greedy search would differ.
    """
    mini, small = repository / "examples" / "mini" / "model", tmp_path / "small"
    files = [str(texts / f"{tag}.tsv") for tag in TAGS]
    assert main.main([
        "trim", "--backbone", str(mini / "model.pt"), "--text", *files,
        "--keep-langs", ",".join(TAGS), "--out", str(small),
    ]) == 0  # fmt: skip
    assert f"{6 * TEXTS} of {6 * TEXTS} texts are of kept subwords" in capsys.readouterr().out
    assert dictionary_tags(small) == list(TAGS)

    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", str(repository / "preprocess" / "binarize.sh"), "pairs", "--backbone", str(small),
         "--lang", "zh_CN", "--out", str(tmp_path / "data"), "--test", files[2]],
        env={**os.environ, "PATH": path}, check=True,
    )  # fmt: skip
    model, task = load_model(str(small / "model.pt"), str(tmp_path / "data"))
    whole, whole_task = load_model(str(mini / "model.pt"), str(mini))
    entries = [whole_task.dictionary.index(entry) for entry in task.dictionary.symbols]
    assert len(set(entries)) == len(entries) < 0.6 * len(whole_task.dictionary)
    old = torch.tensor(entries)
    task.cfg.gen_lang = "zh_CN"
    task.load_dataset("test")
    pairs = task.dataset("test")
    assert len(pairs) == TEXTS
    inputs = pairs.collater([pairs[index] for index in range(8)])["net_input"]
    with torch.no_grad():
        logits, _ = model(**inputs)
        expected, _ = whole(
            old[inputs["src_tokens"]], inputs["src_lengths"], old[inputs["prev_output_tokens"]]
        )
    torch.testing.assert_close(logits, expected[..., old], rtol=0, atol=1e-6)

    wanted = [
        row.split("\t")[2] for row in (texts / "zh_CN.tsv").read_text("utf-8").split("\n")[:4]
    ]
    written = [
        hub.load(str(folder / "model.pt")).generate(wanted, lang="zh_CN", beam=1, max_len_b=16)
        for folder in (mini, small)
    ]
    assert written[0] == written[1]
    assert all(written[0])
