"""A language that the backbone never saw: components, stage 1, stage 2 on English, generation."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.cli import main
from laft_fairseq.components import file as components_file
from laft_fairseq.hub.loading import load_model
from tests import tiny, tiny_text
from tests.integration.conftest import SAVING
from tests.integration.test_raw_text import generated
from tests.integration.test_two_stages import Killed, kill_at

OLD, NEW = ("en_XX", "fr_XX"), "zh_CN"
ROW = "decoder.new_tag_rows.zh_CN"
GENERATE = ("--task", "laft_generation", "--gen-lang", NEW, "--beam", "2", "--max-len-b", "5")


@dataclass(frozen=True)
class Run:
    """Where everything lies."""

    data: Path
    backbone: Path
    components: Path
    stage1: Path
    stage2: Path

    @property
    def first(self) -> list[str]:
        """The flags of stage 1."""
        return ["--method", "laft", "--backbone", str(self.backbone), "--max-update", "4",
                "--language-components", str(self.components), "--batch-size", "20",
                "--save-interval-updates", "2", *SAVING]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A backbone of English and French; Chinese has text alone."""
    home = tmp_path_factory.mktemp("new-language")
    built = tiny.model("denoising", tags=OLD, method="mbart_full")
    tiny.scramble(built)
    heads = Namespace(encoder_attention_heads=2, decoder_attention_heads=2)
    torch.save({"args": heads, "model": built.state_dict()}, home / "model.pt")
    data = tiny.write_data(home / "data-bin")
    (data / "langs.txt").write_text("en_XX\nfr_XX\n")
    (data / "new-langs.txt").write_text("zh_CN\n")
    stage1, stage2 = (home / stage / "checkpoint_last.pt" for stage in ("stage1", "stage2"))
    made = Run(data, home / "model.pt", home / "components.safetensors", stage1, stage2)
    assert main.main(
        ["components", "--backbone", str(made.backbone), "--data", str(data), "--langs",
         "en_XX,fr_XX,zh_CN", "--num-components", "3", "--cpu", "--out", str(made.components)]
    ) == 0  # fmt: skip
    tiny.train(data, home / "stage1", "denoising", *made.first)
    tiny.train(
        data, home / "stage2", "generation", "--method", "laft", "--backbone", made.backbone,
        "--finetune-from-model", made.stage1, "--train-langs", "en_XX", "--max-update", "2",
        *SAVING,
    )  # fmt: skip
    return made


def state_of(checkpoint: Path) -> dict[str, Tensor]:
    """What the file holds."""
    return torch.load(checkpoint, weights_only=True)["model"]  # type: ignore[no-any-return]


def test_the_components_are_those_that_the_trained_model_sees(run: Run) -> None:
    """c_L of the new language, from its texts through the encoder after both stages."""
    model, task = load_model(str(run.stage2), str(run.data))
    rows = []
    for text in tiny.random_texts(NEW, 20):
        tokens = torch.tensor([[*text, task.tag_ids[NEW]]])  # (1, T): X </s> [l]
        with torch.no_grad():
            e = model.encoder.forward_backbone(tokens)["encoder_out"][0]  # (T, 1, d)
        rows.append(e[: len(text) - 1, 0].mean(0))
    _, _, right = torch.linalg.svd(torch.stack(rows).double())
    c = components_file.load(run.components).select(NEW).components.double()
    torch.testing.assert_close(c @ c.T, right[:3].T @ right[:3], atol=1e-5, rtol=0)


def test_the_row_trains_in_stage_1_alone(run: Run) -> None:
    """Checkpoints hold the decoder's row, not the matrix."""
    model, _ = load_model(str(run.stage1), str(run.data))
    backbone = backbones.read(str(run.backbone)).state
    table = backbone["encoder.embed_tokens.weight"]
    mean, first, second = table[[39, 40]].mean(0), state_of(run.stage1), state_of(run.stage2)
    assert (first[ROW] - mean).abs().max() > 0.01
    assert torch.equal(second[ROW], first[ROW])
    for state in (first, second):
        torch.testing.assert_close(state["encoder.new_tag_rows.zh_CN"], mean)
        assert not set(backbone) & set(state)
        header = tiny.header_of(state)
        assert (header.langs, header.new_langs) == (["en_XX", "fr_XX"], ["zh_CN"])
    assert torch.equal(nn.Module.state_dict(model)["decoder.output_projection.weight"], table)


def test_it_writes_the_new_language(run: Run) -> None:
    """As many hypotheses as texts; no tag in any."""
    lines = tiny.generate(run.data, run.stage2, *GENERATE)
    hypotheses = [line for line in lines if line.startswith("H-")]
    assert len(hypotheses) == 5
    assert not any("[" in line.split("\t")[2] or "<mask>" in line for line in hypotheses)


def test_raw_text_in_and_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`laft generate`: a line for each line, subwords of the dictionary alone."""
    tiny_text.write_sentencepiece(run.backbone.with_name("sentence.bpe.model"))
    texts = tiny_text.raw(NEW, 3)
    flags = ("--lang", NEW, "--beam", "2", "--max-len-b", "5")
    status, written = generated(run.stage2, "\n".join(texts), *flags, patch=monkeypatch)
    assert (status, len(written)) == (0, 3)
    assert not any("[" in line for line in written)
    whole = run.data.with_name("whole")
    assert main.main(["export", "--checkpoint", str(run.stage2), "--out", str(whole)]) == 0
    assert (whole / "new-langs.txt").read_text() == f"{NEW}\n"
    again = generated(whole, "\n".join(texts), *flags, patch=monkeypatch)
    assert again == (0, written)


def test_the_checkpoint_tells_its_new_languages(run: Run, tmp_path: Path) -> None:
    """To what loads for evaluation, where the data have no list; fairseq needs the option."""
    tiny.write_dictionary(tmp_path, OLD)
    _, task = load_model(str(run.stage2), str(tmp_path))
    assert task.tags == ["en_XX", "fr_XX", "zh_CN"]
    with pytest.raises(BaseException) as error:
        tiny.generate(tmp_path, run.stage2, *GENERATE[:2], "--gen-lang", "en_XX")
    assert "trained with the new languages zh_CN" in tiny.one_line(error.value)


def test_a_killed_run_resumes(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 3)
        tiny.train(run.data, tmp_path / "killed", "denoising", *run.first)
    saved = state_of(tmp_path / "killed" / "checkpoint_last.pt")
    resumed = tiny.train(run.data, tmp_path / "killed", "denoising", *run.first)["model"]
    unbroken = state_of(run.stage1)
    assert not torch.equal(saved[ROW], unbroken[ROW])
    assert set(resumed) == set(unbroken)
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)
