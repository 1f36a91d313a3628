"""No file runs code, opens a pipe or ends in a traceback: a payload in every option and field."""

import contextlib
import importlib
import json
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils, tasks
from fairseq.models import ARCH_MODEL_NAME_REGISTRY

from laft_fairseq import hub, register  # noqa: F401
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import HEADER_KEY, Header, pop_header
from laft_fairseq.checkpoints.reading import text_tensor
from laft_fairseq.cli.main import main
from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from tests import tiny, tiny_text

Change = Callable[[dict[str, Any]], Any]
ARCHITECTURES = [name for name, of in ARCH_MODEL_NAME_REGISTRY.items() if of == "laft_mbart"]
# What fairseq evaluates, opens or resolves, in its models, optimizers, criterions and commands.
EVALUATED = (
    "adaptive_softmax_cutoff", "adaptive_input_cutoff", "encoder_xformers_att_config",
    "xformers_att_config", "character_filters", "encoder_layers", "decoder_layers",
    "decoder_attention", "encoder_attention", "self_attention", "encoder_glu", "pretrained",
    "project_input", "gated_attention", "downsample", "conv_feature_layers", "wer_args",
    "pipeline_balance", "pipeline_devices", "pipeline_encoder_balance", "adam_betas", "lr",
    "adamax_betas", "adafactor_eps", "lamb_betas", "update_freq", "update_epoch_lr",
    "model_overrides", "optimizer_overrides", "left_pad_source", "left_pad_target",
    "encoder_embed_path", "decoder_embed_path", "encoder_layers_to_keep", "user_dir", "layers",
)  # fmt: skip
GROUPS = ("task", "criterion", "optimizer", "lr_scheduler", "optimization", "common", "common_eval",
          "distributed_training", "checkpoint", "generation")  # fmt: skip
FOREIGN = ("fconv", "fconv_self_att", "transformer_lm", "lstm", "wav2vec2", "mbart_large",
           "transformer", ["laft_mbart"], 7)  # fmt: skip


def options_of_the_model() -> list[str]:
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    LAFTMBart.add_args(parser)
    return [action.dest for action in parser._actions]


NAMES = sorted({*options_of_the_model(), *EVALUATED, "stage", "dictionary_tags", "decoder",
                "tag_layout", "decoder_input_dim", "encoder", "quant_noise"})  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`good.pt` as fairseq-train writes it, its data-bin, `model.pt` and `slim.pt` on it."""
    folder = tmp_path_factory.mktemp("hostile")
    data = tiny.write_data(folder / "data-bin", 4)
    flags = ("--method", "mbart_full", "--max-update", "1", "--disable-validation",
             "--encoder-layers", "1", "--decoder-layers", "1")  # fmt: skip
    good = tiny.train(data, folder / "run", "generation", *flags) | {"last_optimizer_state": None}
    torch.save(good, folder / "good.pt")
    args = Namespace(encoder_attention_heads=2, decoder_attention_heads=2)
    torch.save({"args": args, "model": good["model"]}, folder / "model.pt")
    trained = tiny.model(backbone=str(folder / "model.pt"), encoder_layers=1, decoder_layers=1)
    trained.load_backbone(backbones.read(str(folder / "model.pt")))
    slim = deepcopy(good) | {"model": trained.state_dict()}
    vars(slim["cfg"]["model"]).update(method="laft", backbone=str(folder / "model.pt"))
    torch.save(slim, folder / "slim.pt")
    tiny_text.write_sentencepiece(data / "sentence.bpe.model")
    return folder


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


def payload(marker: Path) -> str:
    return f"__import__('pathlib').Path({str(marker)!r}).touch() or [1]"


@cache
def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


def written(
    home: Path, path: Path, change: Change, form: str = "cfg",
    source: str = "good.pt",
) -> str:  # fmt: skip
    """A checkpoint changed, with its options as ``cfg`` or as the flat ``args`` of before."""
    content = dict(read(home / source))
    content |= {"cfg": deepcopy(content["cfg"]), "model": dict(content["model"])}
    change(content)
    if form == "args":
        flat = vars(content["cfg"]["model"])
        content = {**content, "args": Namespace(**flat), "cfg": None}
    torch.save(content, path)
    return str(path)


def options(**values: Any) -> Change:
    """The model's options changed."""
    return lambda content: vars(content["cfg"]["model"]).update(values)


def state(change: Change) -> Change:
    """Its state changed."""
    return lambda content: change(content["model"])


@contextlib.contextmanager
def harmless(marker: Path) -> Iterator[None]:
    """What is within loads, or ends in one line; nothing of the file runs."""
    try:
        yield
    except LaftError as error:
        assert "\n" not in str(error) and len(str(error)) < 5000
    assert not marker.exists()


def load_everywhere(path: str, home: Path, marker: Path, task: Any = None) -> None:
    data = str(home / "data-bin")
    with harmless(marker):
        hub.load(path, data, device="cpu")
    with harmless(marker):
        checkpoint_utils.load_model_ensemble_and_task([path], {"data": data}, task=task)


def own_task(home: Path) -> Any:
    return tasks.setup_task(
        Namespace(**read(home / "good.pt")["cfg"]["task"], task="laft_generation")
    )


@pytest.mark.parametrize(("number", "name"), enumerate(NAMES))
def test_no_option_of_the_model_runs(home: Path, marker: Path, number: int, name: str) -> None:
    """The forms and the architectures take turns, as all have the same options."""
    form, arch = ("cfg", "args")[number % 2], ARCHITECTURES[number // 2 % len(ARCHITECTURES)]
    change = options(**{"arch": arch, "_name": arch, name: payload(marker)})
    load_everywhere(written(home, marker.with_name("x.pt"), change, form), home, marker)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_nor_of_any_architecture(home: Path, marker: Path, arch: str) -> None:
    """All that fairseq evaluates at once: the first to be read is refused."""
    change = options(**dict.fromkeys(EVALUATED, payload(marker)), arch=arch, _name=arch)
    path = written(home, marker.with_name("x.pt"), change)
    with pytest.raises(LaftError, match=r"x\.pt: its option \w+ is .*, which is not taken"):
        hub.load(path, str(home / "data-bin"), device="cpu")
    load_everywhere(path, home, marker)


@pytest.mark.parametrize("group", GROUPS)
def test_nor_of_another_group(home: Path, marker: Path, group: str) -> None:
    def change(content: dict[str, Any]) -> None:
        for name in [*content["cfg"][group], *EVALUATED]:
            content["cfg"][group][name] = payload(marker)
        content["cfg"]["common"]["seed"] = "${oc.env:HOME}"

    load_everywhere(written(home, marker.with_name("x.pt"), change), home, marker)


@pytest.mark.parametrize("form", ["cfg", "args"])
@pytest.mark.parametrize("arch", FOREIGN, ids=str)
def test_another_architecture_is_refused(home: Path, marker: Path, arch: Any, form: str) -> None:
    change = options(_name=arch, arch=arch, encoder_layers=payload(marker))
    path = written(home, marker.with_name("x.pt"), change, form)
    load_everywhere(path, home, marker)
    content = torch.load(path, weights_only=True)
    del content["model"][HEADER_KEY]
    torch.save(content, path)
    with pytest.raises(LaftError, match=r"x\.pt: (its architecture is|not written by)"):
        checkpoint_utils.load_model_ensemble_and_task([path], task=own_task(home))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("encoder_layers", 10**12), ("encoder_embed_dim", 1 << 19), ("encoder_ffn_embed_dim", 10**12),
     ("encoder_layers", 1000), ("dropout", 7.0), ("encoder_attention_heads", 0),
     ("encoder_attention_heads", 5), ("max_source_positions", 1 << 38), ("dropout", float("nan")),
     ("fusion_dim", -1), ("encoder_layers", True), ("method", "evil"), ("activation_fn", "swish"),
     ("encoder_normalize_before", 1), ("task", "translation"), ("backbone", "a\nb")],
)  # fmt: skip
@pytest.mark.parametrize("source", ["good.pt", "slim.pt"])
def test_values_out_of_range(home: Path, marker: Path, name: str, value: Any, source: str) -> None:
    path = written(home, marker.with_name("x.pt"), options(**{name: value}), source=source)
    with pytest.raises(LaftError, match=r"^[^\n]*x\.pt( with the backbone [^\n]*)?: [^\n]*$"):
        hub.load(path, str(home / "data-bin"), device="cpu")
    load_everywhere(path, home, marker)


ADAPTER = "decoder.layers.0.language_adapter.fr_XX.up.weight"
BAD: dict[str, Change] = {
    **{f"args-{type(v).__name__}": lambda c, v=v: c.update(args=v) for v in ([], "x", 3)},
    **{f"cfg-{type(v).__name__}": lambda c, v=v: c.update(cfg=v) for v in ([1], "model: {}", 3)},
    "no-options": lambda c: c.update(cfg=None),
    "model-list": lambda c: c["cfg"].update(model=[]),
    "state-list": lambda c: c.update(model=[1]),
    "history": lambda c: c.update(optimizer_history=[{"num_updates": "x"}]),
    "no-history": lambda c: c.pop("optimizer_history"),
    "text": state(lambda s: s.update({"decoder.layer_norm.weight": "x"})),
    "number-key": state(lambda s: s.update({3: torch.ones(1)})),
    "bytes": state(lambda s: s.update({"decoder.layer_norm.weight": b""})),
    "shape": state(lambda s: s.update({"decoder.layer_norm.weight": torch.ones(2, 2)})),
    "empty": state(lambda s: s.update({"encoder.embed_tokens.weight": torch.ones(0)})),
    "scalar": state(lambda s: s.update({"encoder.layers.0.fc1.weight": torch.tensor(1.0)})),
    "huge": state(lambda s: s.update(x=torch.ones(1).expand(1 << 40))),
    "sparse": state(lambda s: s.update(x=torch.eye(2).to_sparse())),
    "meta": state(lambda s: s.update(x=torch.empty(1 << 40, device="meta"))),
    "adapter": state(lambda s: s.update({ADAPTER: torch.ones(2)})),
    "origin": state(lambda s: s.update({"laft.origin": torch.full((3,), 255.0)})),
    **{f"header-{i}": state(lambda s, t=t: s.update({HEADER_KEY: t})) for i, t in enumerate((
        torch.ones(3), torch.ones(2, 2).byte(), torch.zeros(2 << 20).byte(), text_tensor("[]"),
        text_tensor("3"), text_tensor("[" * 99999), torch.full((9,), 255).byte(), "text",
        text_tensor("{}"), text_tensor('{"format": "laft_fairseq checkpoint", "version": 1}')))},
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_damage_is_one_line(home: Path, marker: Path, bad: str) -> None:
    path = written(home, marker.with_name("x.pt"), BAD[bad])
    load_everywhere(path, home, marker)
    load_everywhere(path, home, marker, own_task(home))
    assert main(["export", "--checkpoint", path, "--out", str(marker.with_name("o.pt"))]) in (0, 2)


@pytest.mark.parametrize("name", [entry.name for entry in fields(Header)])
def test_header_fields(home: Path, marker: Path, name: str) -> None:
    """Of another type, on several lines, too long, missing; loaded with the last of them."""
    right = tiny.header_of(read(home / "slim.pt")["model"])
    without = {key: value for key, value in asdict(right).items() if key != name}
    values = (None, 3, [3], {"a": 1}, [["x"]], "${x}", "x" * 99999, "a\nb")
    for recorded in (without, *(without | {name: value} for value in values)):
        tensor = text_tensor(json.dumps(recorded))
        with harmless(marker):
            pop_header({HEADER_KEY: tensor})

    change = state(lambda held: held.update({HEADER_KEY: tensor}))
    path = written(home, marker.with_name("x.pt"), change, source="slim.pt")
    with harmless(marker):
        hub.load(path, str(home / "data-bin"), device="cpu")


@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "symlink"])
def test_only_regular_files_are_opened(home: Path, marker: Path, kind: str) -> None:
    special = Path(kind) if kind.startswith("/") else marker.with_name("special")
    if kind == "symlink":
        special.symlink_to("/dev/zero")
    elif kind == "fifo":
        os.mkfifo(special)

    def change(content: dict[str, Any]) -> None:
        header = tiny.header_of(content["model"])
        header.backbone = content["cfg"]["model"].backbone = str(special)
        content["model"][HEADER_KEY] = header.to_tensor()

    path = written(home, marker.with_name("x.pt"), change, source="slim.pt")
    for loaded in (path, str(special)):
        with pytest.raises(LaftError, match=f"{special}: a pipe or a device"):
            hub.load(loaded, str(home / "data-bin"), device="cpu")
    with pytest.raises(LaftError, match=f"{special}: a pipe or a device"):
        checkpoint_utils.load_model_ensemble_and_task([path], {"data": str(home / "data-bin")})
    assert main(["export", "--checkpoint", path, "--out", str(marker)]) == 2


@pytest.mark.parametrize("command", ["laft", "fairseq-generate", "fairseq-validate", "export"])
def test_the_commands(home: Path, marker: Path, command: str) -> None:
    """Each ends with one line and without a traceback; the first two in processes of their own."""
    change = options(adaptive_softmax_cutoff=payload(marker))
    path, data = written(home, marker.with_name("x.pt"), change), str(home / "data-bin")
    refusal = "x.pt: its option adaptive_softmax_cutoff is"
    flags = (data, "--path", path, "--task", "laft_generation", "--cpu", "--batch-size", "4")
    if command == "export":
        out = marker.with_name("o.pt")
        assert main(["export", "--checkpoint", path, "--out", str(out)]) == 2
        assert not out.exists()
    elif command == "fairseq-validate":
        with tiny.command_line(*flags), pytest.raises(LaftError, match=refusal):
            importlib.import_module("fairseq_cli.validate").cli_main()
    else:
        words: tuple[str, ...] = ("generate", "--checkpoint", path, "--lang", "fr_XX")
        if command == "fairseq-generate":
            words = (*flags, "--gen-lang", "fr_XX", "--user-dir", str(tiny.PACKAGE))
        program = str(Path(sys.executable).with_name(command))
        done = subprocess.run(
            [program, *words], input="w1", capture_output=True, text=True, check=False
        )
        assert done.returncode != 0 and "Traceback" not in done.stderr
        assert refusal in done.stderr.splitlines()[-1]
    assert not marker.exists()
