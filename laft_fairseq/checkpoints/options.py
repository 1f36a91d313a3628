"""What a checkpoint file may say of the model, task and criterion that are built from it.

fairseq evaluates some options as Python, opens files that others name, and builds any model that a
file asks for. So nothing of a file reaches it but what this module has copied: LAFT's own
architectures, tasks and criterions; of their options those that their command lines have, each of
its type and range; never one that fairseq evaluates or opens. The rest of a training's options,
which a checkpoint records too, is left behind.
"""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import cache
from typing import Any

from laft_fairseq.checkpoints.header import HEADER_KEY
from laft_fairseq.checkpoints.reading import CONTROL, LONGEST_TEXT, checked_tensors, shorten
from laft_fairseq.errors import LaftError

MODEL = "laft_mbart"  # whose architectures are ours
TASKS = ("laft_denoising", "laft_generation")
CRITERIONS = ("cross_entropy", "label_smoothed_cross_entropy",
              "label_smoothed_cross_entropy_with_rdrop", "laft_adversarial")  # fmt: skip
KEPT = ("criterion", "optimizer_history", "extra_state", "last_optimizer_state")
# The texts that a file may say: paths, tags and names, none of which is evaluated.
TEXTS = frozenset({"backbone", "language_components", "adapter_langs", "data", "langs", "new_langs",
                   "train_langs", "valid_langs", "gen_lang", "target_langs",
                   "train_subset"})  # fmt: skip
# Of training alone, or of no other value in an mBART.
LEFT_BEHIND = frozenset({"min_params_to_wrap", "base_sublayers", "base_shuffle", "encoder_cache",
                         "adaptive_softmax_factor", "decoder_output_dim"})  # fmt: skip
# Copied by fairseq from another group: kind and default.
COPIED: dict[str, tuple[type, Any]] = {
    "seed": (int, 1),
    "train_subset": (str, "train"),
    "max_tokens": (int, None),
    "max_tokens_valid": (int, None),
    "sentence_avg": (bool, False),
}
RANGES: dict[str, tuple[float, float]] = {
    **{f"{side}_{width}": (1, 1 << 20) for side in ("encoder", "decoder")
       for width in ("embed_dim", "ffn_embed_dim", "attention_heads")},
    "encoder_layers": (1, 1 << 10), "decoder_layers": (1, 1 << 10), "base_layers": (0, 0),
    "task_module_layers": (0, 1 << 10), "fusion_dim": (1, 1 << 20),
    "language_adapter_dim": (0, 1 << 20), "task_adapter_reduction": (1, 1 << 20),
    "max_source_positions": (1, 1 << 40), "max_target_positions": (1, 1 << 40),
    "quant_noise_pq": (0, 1), "quant_noise_scalar": (0, 1), "label_smoothing": (0, 1),
    "quant_noise_pq_block_size": (1, 1 << 20),
}  # fmt: skip


def architectures() -> list[str]:
    """The architectures that may be built from a file."""
    from fairseq.models import ARCH_MODEL_NAME_REGISTRY

    return [name for name, model in ARCH_MODEL_NAME_REGISTRY.items() if model == MODEL]


def is_own(content: Mapping[str, Any]) -> bool:
    """Whether a file has our header, or asks for one of our architectures or tasks.

    So has one whose options are no table, which :func:`cleaned` refuses.
    """
    try:
        groups = recorded_groups(content, "")
    except LaftError:
        return True
    state, own = content.get("model"), (*TASKS, *architectures())
    keys = (("model", "arch"), ("model", "_name"), ("task", "task"), ("task", "_name"))
    names = [groups[group].get(key) for group, key in keys]
    return (isinstance(state, dict) and HEADER_KEY in state) or any(
        isinstance(name, str) and name in own for name in names
    )


def refuse_foreign(content: Mapping[str, Any], path: str) -> None:
    """Refuse a file that is not ours.

    Raises:
        LaftError: it is not.
    """
    if not is_own(content):
        raise LaftError(
            f"{path}: not written by laft_fairseq, so its languages and shape are not known; a "
            "pretrained mBART goes to --backbone"
        )


def cleaned(content: Mapping[str, Any], path: str) -> dict[str, Any]:
    """What may be used of a checkpoint of ours, its options as ``cfg`` in fairseq's form.

    Args:
        content: of the file.
        path: its name.

    Raises:
        LaftError: names the file and what is refused in it.
    """
    groups = recorded_groups(content, path)
    kept = {key: content[key] for key in KEPT if key in content}
    _check_history(kept, path)
    if kept.get("criterion") is not None:
        kept["criterion"] = checked_tensors(kept["criterion"], path)
    cfg = dict(_other_groups())  # omegaconf copies them
    if groups["model"]:
        cfg["model"] = model_options(content, path)
    for name, allowed in (("task", TASKS), ("criterion", CRITERIONS)):
        kind = groups[name].get("_name")
        if kind is not None:
            cfg[name] = _group(name, kind, allowed, groups[name], path)
    state = checked_tensors(content.get("model"), path)
    return {**kept, "args": None, "cfg": cfg, "model": state, "task_state": {}}


def model_options(content: Mapping[str, Any], path: str) -> Namespace:
    """The model's options, of those that its command line has, and its architecture.

    Raises:
        LaftError: names the file and the option.
    """
    from fairseq.models import ARCH_MODEL_REGISTRY

    recorded = recorded_groups(content, path)["model"]
    names = [recorded[key] for key in ("arch", "_name") if recorded.get(key) is not None]
    for name in names or ["none"]:
        if not isinstance(name, str) or name not in architectures():
            raise LaftError(
                f"{path}: its architecture is {shorten(name)}; of files only "
                f"{', '.join(architectures())} are built"
            )
    found = _checked(_actions(ARCH_MODEL_REGISTRY[names[0]].add_args), recorded, path)
    task = recorded.get("task") or TASKS[-1]
    if not isinstance(task, str) or task not in TASKS:
        raise LaftError(f"{path}: its task is {shorten(task)}; it is to be {' or '.join(TASKS)}")
    return Namespace(arch=names[0], _name=names[-1], task=task, **found)


def recorded_groups(content: Mapping[str, Any], path: str) -> dict[str, dict[str, Any]]:
    """Options of model, task and criterion out of ``args``, else ``cfg``; {} where there are none.

    Raises:
        LaftError: they are no table.
    """
    args, cfg = content.get("args"), content.get("cfg")
    if args is not None:
        flat = _table(args, path)
        named = {name: flat | {"_name": flat.get(name)} for name in ("task", "criterion")}
        return {"model": flat, **named}
    table = _table(cfg, path)
    return {name: _table(table.get(name), path) for name in ("model", "task", "criterion")}


def _table(values: Any, path: str) -> dict[str, Any]:
    from omegaconf import DictConfig, OmegaConf

    table = vars(values) if type(values) is Namespace else values
    if type(values) is DictConfig:  # of fairseq 0.10, and possibly damaged
        with suppress(Exception):
            table = OmegaConf.to_container(values, resolve=False)
    if table is not None and not isinstance(table, dict):
        raise LaftError(f"{path}: its options are a {type(values).__name__}, no table of them")
    return dict(table or {})


def _group(
    name: str, kind: Any, allowed: Iterable[str], recorded: Mapping[str, Any], path: str
) -> dict[str, Any] | None:
    """Options of the task or criterion ``kind``, with a value for each."""
    from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
    from fairseq.dataclass.utils import gen_parser_from_dataclass
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    if not isinstance(kind, str) or kind not in allowed:
        raise LaftError(f"{path}: its {name} is {shorten(kind)}, none of {', '.join(allowed)}")
    registry = TASK_DATACLASS_REGISTRY if name == "task" else CRITERION_DATACLASS_REGISTRY
    options = registry.get(kind)
    if options is None:  # the process has not imported it, and has no use for it
        return None
    actions = _actions(lambda parser: gen_parser_from_dataclass(parser, options(), True))
    values = {f.name: f.default for f in fields(options)} | _checked(actions, recorded, path)
    for option, (type_, default) in COPIED.items():
        if option in values:
            value = recorded.get(option)
            value = default if value is None or value == "" else value
            if type(value) not in (type_, type(default)) or not _fits(option, value):
                raise _refusal(path, option, value)
            values[option] = value
    return values | {"_name": kind}


def _actions(add: Any) -> list[Action]:
    parser = ArgumentParser(allow_abbrev=False, add_help=False)
    add(parser)
    return parser._actions


def _checked(actions: Iterable[Action], recorded: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Those of ``recorded`` that a command line has, each as it may be."""
    found: dict[str, Any] = {}
    for action in actions:
        option, value = action.dest, recorded.get(action.dest)
        if option in LEFT_BEHIND or value is None or (type(value) is str and value == ""):
            continue
        if not _allowed(action, value):
            raise _refusal(path, option, value)
        found[option] = value
    return found


def _allowed(action: Action, value: Any) -> bool:
    """Whether the option may have the value; only None where fairseq evaluates or opens it."""
    kind = type(value)
    if action.choices is not None:
        return kind is str and value in action.choices
    if action.nargs == 0:
        return kind is bool
    if action.type is int:
        return kind is int and _fits(action.dest, value)
    if action.type is float:
        return kind in (int, float) and _fits(action.dest, value)
    return action.dest in TEXTS and kind is str and _fits(action.dest, value)


def _fits(option: str, value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and not CONTROL.search(value)
    if not isinstance(value, int | float):
        return value is None
    share = option.endswith(("dropout", "layerdrop"))
    low, high = (0, 1) if share else RANGES.get(option, (-(1 << 40), 1 << 40))
    return low <= value <= high


def _refusal(path: str, option: str, value: Any) -> LaftError:
    return LaftError(
        f"{path}: its option {option} is {shorten(value)}, which is not taken from a file"
    )


def _check_history(content: Mapping[str, Any], path: str) -> None:
    """What fairseq reads of a training's course, in its form.

    Raises:
        LaftError: names the file and the part.
    """
    history = content.get("optimizer_history", [{}])
    last = history[-1] if isinstance(history, list) and history else None
    state = content.get("extra_state", {})
    places = state.get("train_iterator", {}) if isinstance(state, dict) else None
    updates = last.get("num_updates", 0) if isinstance(last, dict) else None
    if type(updates) is not int or not 0 <= updates < 1 << 40:
        raise LaftError(f"{path}: its optimizer_history is damaged")
    if not isinstance(places, dict):
        raise LaftError(f"{path}: its extra_state is damaged")


@cache
def _other_groups() -> Mapping[str, Any]:
    """fairseq's options of everything else, at their defaults."""
    from fairseq.dataclass.configs import FairseqConfig
    from omegaconf import OmegaConf

    groups = {f.name: f.default for f in fields(FairseqConfig) if isinstance(f.default, type)}
    cfg = OmegaConf.create({name: OmegaConf.structured(kind) for name, kind in groups.items()})
    values: Any = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    return values | dict.fromkeys(
        ("criterion", "optimizer", "lr_scheduler", "scoring", "bpe", "tokenizer")
    )
