"""fairseq's own mbart.cc25.v2, in small, as it is: components, both stages, raw text, export."""

from pathlib import Path

import torch

from laft_fairseq import hub
from laft_fairseq.cli.main import main
from tests import tiny, tiny_text
from tests.integration.conftest import SAVING
from tests.unit.checkpoints.test_original_archive import write_archive

HEADS = ("--encoder-attention-heads", "4", "--decoder-attention-heads", "4")


def test_the_whole_chain(tmp_path: Path) -> None:
    home, data = tmp_path / "mbart.cc25", tiny.write_data(tmp_path / "data-bin")
    write_archive(home)
    components, stage1 = tmp_path / "c.safetensors", tmp_path / "1" / "checkpoint_last.pt"
    flags = ("--backbone", home / "model.pt", "--data", data, "--langs", ",".join(tiny.TAGS),
             "--num-components", tiny.K, "--out", components, "--cpu")  # fmt: skip
    assert main(["components", *map(str, flags)]) == 0
    laft = ("--method", "laft", "--backbone", home / "model.pt", "--max-update", "2", *HEADS,
            *SAVING)  # fmt: skip
    tiny.train(data, stage1.parent, "denoising", *laft, "--language-components", components)
    content = tiny.train(data, tmp_path / "2", "generation", *laft, "--train-langs", "en_XX",
                         "--finetune-from-model", stage1)  # fmt: skip
    header = tiny.header_of(content["model"])
    assert (header.kind, header.langs) == ("slim", list(tiny.TAGS))
    assert not any(name.startswith("decoder.layers.0.self_attn.") for name in content["model"])

    stage2, whole = str(tmp_path / "2" / "checkpoint_last.pt"), str(tmp_path / "whole.pt")
    model_file = str(tiny_text.write_sentencepiece(home / "sentence.bpe.model"))
    texts = tiny_text.raw("fr_XX", 3)
    search = {"beam": 2, "max_len_b": 5}
    written = hub.load(stage2, device="cpu").generate(texts, "fr_XX", **search)
    assert main(["export", "--checkpoint", stage2, "--out", whole]) == 0
    (home / "model.pt").unlink()
    again = hub.load(whole, str(data), model_file, device="cpu")
    assert again.generate(texts, "fr_XX", **search) == written
    assert all(torch.isfinite(tensor).all() for tensor in again.model.parameters())
