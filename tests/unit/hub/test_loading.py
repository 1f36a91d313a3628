"""Loading for evaluation: slim, whole and plain mBART give the model that was saved."""

import gc
import subprocess
import sys
import weakref
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils
from torch import nn

from laft_fairseq import hub
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints import header
from laft_fairseq.checkpoints.header import HEADER_KEY
from laft_fairseq.checkpoints.record import shape_arguments
from laft_fairseq.errors import LaftError
from laft_fairseq.hub.loading import load_backbone_model, load_model
from laft_fairseq.languages.vocabulary_files import SENTENCEPIECE
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny, tiny_text

POSITIONS = {"max_source_positions": 64, "max_target_positions": 64}


def options(**more: Any) -> Namespace:
    """What a checkpoint records of the tiny model."""
    return Namespace(arch="laft_mbart_tiny", task="laft_generation", **POSITIONS, **more)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_data(tmp_path_factory.mktemp("data"), 5)


@pytest.fixture(scope="module")
def plain() -> LAFTMBart:
    built = tiny.model(method="mbart_full")
    tiny.scramble(built)
    return built


@pytest.fixture
def mbart(plain: LAFTMBart, tmp_path: Path) -> Path:
    """A plain mBART in fp16 that records its heads (2, where 32 / 64 would say 1)."""
    state = {name: tensor.half() for name, tensor in nn.Module.state_dict(plain).items()}
    heads = Namespace(encoder_attention_heads=2, decoder_attention_heads=2)
    torch.save({"args": heads, "model": state}, tmp_path / "mbart.pt")
    return tmp_path / "mbart.pt"


@pytest.fixture
def trained(mbart: Path) -> LAFTMBart:
    """A `laft` on that mBART, its own parts scrambled."""
    built = tiny.model(backbone=str(mbart))
    built.load_backbone(backbones.read(str(mbart)))
    for name, module in built.named_modules():
        if backbones.is_added(f"{name}."):
            tiny.scramble(module)
    return built


def logits(model: LAFTMBart) -> torch.Tensor:
    source = tiny.rows(["▁w1 c1 ▁w2 c2 </s> [en_XX]", "一 二 </s> [zh_CN]"])
    decoder_input = tiny.rows(["[en_XX] ▁w1 c1", "[zh_CN] 一"], left=False)
    with torch.no_grad():
        return model(source, None, decoder_input)[0]


def write(path: Path, model: dict[str, Any], args: Namespace, key: str = "args") -> Path:
    content = {"args": args} if key == "args" else {"args": None, "cfg": {"model": args}}
    torch.save({**content, "model": model}, path)
    return path


@pytest.mark.parametrize(
    ("reader", "key"), [("hub.load", "args"), ("hub.load", "cfg"), ("fairseq", "args")]
)
def test_a_slim_checkpoint_and_its_backbone_are_opened_once(
    trained: LAFTMBart, mbart: Path, data: Path, monkeypatch: pytest.MonkeyPatch,
    reader: str, key: str,
) -> None:  # fmt: skip
    """They give the model that was saved; the checkpoint's header is parsed once."""
    state, path = trained.state_dict(), mbart.parent / "slim.pt"
    assert "encoder.embed_tokens.weight" not in state
    write(path, state, options(backbone=str(mbart)), key)
    history = [{"num_updates": 1, "lr_scheduler_state": {}}]
    course = {"optimizer_history": history, "extra_state": {"train_iterator": {"epoch": 1}}}
    torch.save(torch.load(path, weights_only=True) | course, path)
    tiny_text.write_sentencepiece(mbart.parent / SENTENCEPIECE)
    opened: list[str] = []
    parsed: list[str] = []
    for module, name, names in ((torch, "load", opened), (header, "_parse", parsed)):
        monkeypatch.setattr(module, name, counting(getattr(module, name), names))
    if reader == "hub.load":
        generator = hub.load(str(path), str(data), device="cpu")
        model, task = generator.model, generator.task
        assert not model.training
    else:
        (model,), _, task = checkpoint_utils.load_model_ensemble_and_task(
            [str(path)], {"data": str(data)}, tiny.task(data=str(data))
        )
    assert (opened, parsed) == (["slim.pt", "mbart.pt"], ["slim.pt"])
    assert torch.equal(logits(model.eval()), logits(trained))
    assert model.fingerprint == trained.fingerprint
    assert (task.tags, task.max_positions()) == (list(tiny.TAGS), (64, 64))


def counting(stock: Any, names: list[str]) -> Any:
    """``stock``, which notes the name of each file that it is called for."""

    def called(*args: Any, **kwargs: Any) -> Any:
        paths = [Path(arg).name for arg in args if isinstance(arg, str) and arg.endswith(".pt")]
        names.extend(paths)
        return stock(*args, **kwargs)

    return called


def test_a_slim_checkpoint_with_its_backbone_elsewhere(
    trained: LAFTMBart, mbart: Path, data: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "slim.pt", trained.state_dict(), options(backbone=str(mbart)))
    moved = mbart.rename(tmp_path / "moved.pt")
    with pytest.raises(LaftError, match=r"slim\.pt: a slim checkpoint needs its backbone"):
        load_model(str(path), str(data))
    model, _ = load_model(str(path), str(data), backbone=str(moved))
    assert torch.equal(logits(model), logits(trained))
    with pytest.raises(LaftError, match=r"none\.pt: no such backbone"):
        load_model(str(path), str(data), backbone=str(tmp_path / "none.pt"))


def test_a_backbone_that_is_named_is_taken(
    trained: LAFTMBart, mbart: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the environment's and what lies beside, even where the checkpoint has that path."""
    path = write(tmp_path / "slim.pt", trained.state_dict(), options(backbone=str(mbart)))
    other = tiny.model(method="mbart_full")
    tiny.scramble(other, seed=9)
    content = torch.load(mbart, weights_only=True)
    torch.save(content | {"model": nn.Module.state_dict(other)}, tmp_path / "backbone.pt")
    for variable in (False, True):
        if variable:
            monkeypatch.setenv(backbones.ENVIRONMENT, str(tmp_path / "backbone.pt"))
        with pytest.raises(LaftError, match="another backbone"):
            load_model(str(path), str(data))
        model, _ = load_model(str(path), str(data), backbone=str(mbart))
        assert torch.equal(logits(model), logits(trained))


def test_a_whole_checkpoint_needs_no_backbone(
    trained: LAFTMBart, mbart: Path, data: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "whole.pt", tiny.whole_state_dict(trained), options())
    mbart.unlink()
    model, _ = load_model(str(path), str(data))
    assert torch.equal(logits(model), logits(trained))


@pytest.mark.parametrize("layout", ["suffix", "prefix"])
def test_what_the_folder_does_not_say_the_checkpoint_does(tmp_path: Path, layout: str) -> None:
    """With dict.txt alone: tags, layout, new languages; a file that is there is believed."""
    built = tiny.model(tags=tiny.TAGS[:2], new=["zh_CN"], layout=layout)
    path = write(tmp_path / "whole.pt", tiny.whole_state_dict(built), options())
    tiny.pieces_dictionary().save(str(tmp_path / "dict.txt"))
    model, task = load_model(str(path), str(tmp_path))
    assert task.tags == list(model.tags) == list(tiny.TAGS)
    assert model.header("whole", []).tag_layout == layout
    (tmp_path / "langs.txt").write_text("fr_XX\nen_XX\n")
    with pytest.raises(LaftError, match="trained with languages en_XX,fr_XX, in this order"):
        load_model(str(path), str(tmp_path))


def test_a_plain_mbart(mbart: Path, plain: LAFTMBart, data: Path) -> None:
    model, tags = load_backbone_model(str(mbart), str(data))
    assert tags == list(tiny.TAGS)
    assert not model.training
    assert model.encoder.layers[0].self_attn.num_heads == 2
    assert model.max_positions() == (64, 64)
    assert model.fingerprint == backbones.read(str(mbart)).fingerprint
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.allclose(logits(model), logits(plain), atol=0.02)  # fp16 between them
    again, _ = load_model(str(mbart), str(data))
    assert torch.equal(logits(again), logits(model))


def test_heads_are_not_guessed_at_an_odd_width(mbart: Path, data: Path) -> None:
    content = torch.load(mbart, weights_only=True)
    torch.save({"model": content["model"]}, mbart)
    with pytest.raises(LaftError, match=r"mbart\.pt: records no number of attention heads"):
        load_backbone_model(str(mbart), str(data))


def test_the_shape_is_read_off_the_tensors(plain: LAFTMBart) -> None:
    sides = {"layers": 2, "embed_dim": tiny.D, "ffn_embed_dim": 64}
    both = {f"{side}_{key}": n for side in ("encoder", "decoder") for key, n in sides.items()}
    state = nn.Module.state_dict(plain)
    kind = {"layernorm_embedding": True, "encoder_learned_pos": True, "decoder_learned_pos": True}
    assert shape_arguments(state, "model.pt") == {**both, **POSITIONS, **kind}
    for part in ("embed_positions", "layernorm_embedding"):  # as M2M-100 has none
        state = {name: tensor for name, tensor in state.items() if part not in name}
    assert shape_arguments(state, "model.pt") == {**both, **dict.fromkeys(kind, False)}


def test_a_broken_checkpoint_is_one_line(
    trained: LAFTMBart, mbart: Path, data: Path, tmp_path: Path
) -> None:
    state = tiny.whole_state_dict(trained)
    del state["decoder.layer_norm.weight"]
    path = write(tmp_path / "lacking.pt", state, options())
    with pytest.raises(
        LaftError, match=r"lacking\.pt: does not fit .*decoder\.layer_norm"
    ) as caught:
        load_model(str(path), str(data))
    assert "\n" not in str(caught.value)
    del state[HEADER_KEY]
    path = write(tmp_path / "headless.pt", state, options())
    with pytest.raises(LaftError, match=r"headless\.pt: .* not a plain mBART backbone"):
        load_model(str(path), str(data))
    with pytest.raises(LaftError, match="no such data directory"):
        load_model(str(mbart), str(tmp_path / "nothing"))
    with pytest.raises(LaftError, match="embedding rows"):
        load_backbone_model(str(mbart), str(data), "en_XX,fr_XX")


HOST = """
import gc, logging, os, random, signal, sys, warnings
import numpy, scipy.special, torch

def state():
    return (sys.excepthook, logging.root.handlers[:], logging.root.level, dict(os.environ),
            sys.path[:], [signal.getsignal(s) for s in (2, 15)], random.getstate(),
            numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist(),
            torch.get_default_dtype(), torch.is_grad_enabled(), gc.isenabled(),
            [f for f in warnings.filters if f[2] in (UserWarning, FutureWarning)])

before = state()
from laft_fairseq import hub
assert state() == before
assert "fairseq_cli" not in sys.modules
"""


def test_importing_the_hub_changes_nothing_of_the_host(repository: Path) -> None:
    """And it prints nothing."""
    host = [sys.executable, "-c", HOST]
    done = subprocess.run(host, cwd=repository, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_was_loaded_is_freed_without_the_garbage_collector(
    trained: LAFTMBart, mbart: Path, data: Path, tmp_path: Path
) -> None:
    """In a loop of reloads, models and dictionaries would pile up."""
    path = write(tmp_path / "slim.pt", trained.state_dict(), options(backbone=str(mbart)))
    tiny_text.write_sentencepiece(tmp_path / SENTENCEPIECE)
    gc.collect()
    gc.disable()
    try:
        loaded = hub.load(path, data, tmp_path / SENTENCEPIECE, device="cpu")
        assert loaded.generate(["w1c1"], "fr_XX", max_len_b=3)
        parts = (loaded, loaded.model, loaded.task, loaded.task.dictionary, loaded.tokenizer)
        held = [weakref.ref(part) for part in parts]
        del loaded, parts
        assert all(reference() is None for reference in held)
    finally:
        gc.enable()
