"""What a checkpoint file may say of the model, task and criterion that are built from it.

fairseq evaluates some options as Python, opens files that others name, and builds any model that a
file asks for. So nothing of a file reaches it but what this module has copied: LAFT's own
architectures, tasks and criterions; of their options those that their command lines have, each of
its type and range; never one that fairseq evaluates or opens. The rest of a training's options,
which a checkpoint records too, is left behind.
"""

from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import Field, fields
from functools import cache, lru_cache
from typing import Any, get_args

from laft_fairseq.checkpoints.reading import is_plain, shorten
from laft_fairseq.errors import LaftError

MODEL = "laft_mbart"  # whose architectures are ours
TASKS = ("laft_denoising", "laft_generation")
CRITERIONS = ("cross_entropy", "label_smoothed_cross_entropy",
              "label_smoothed_cross_entropy_with_rdrop", "laft_adversarial")  # fmt: skip
GROUPS = ("model", "task", "criterion")
# The strings that a file may say: paths, tags and names, none of which is evaluated.
STRINGS = frozenset({"backbone", "language_components", "adapter_langs", "data", "langs",
                     "new_langs", "train_langs", "valid_langs", "gen_lang", "target_langs",
                     "mix_langs", "train_subset"})  # fmt: skip
# Of training alone, or of no other value in an mBART.
LEFT_BEHIND = frozenset({"min_params_to_wrap", "base_sublayers", "base_shuffle", "encoder_cache",
                         "adaptive_softmax_factor", "decoder_output_dim"})  # fmt: skip
ANY_NUMBER, SHARE, WIDTH, DEPTH = (-(1 << 40), 1 << 40), (0, 1), (1, 1 << 20), (1, 1 << 10)
# The least and the greatest value of a number; dropouts are shares.
RANGES: dict[str, tuple[int, int]] = {
    **{f"{side}_{width}": WIDTH for side in ("encoder", "decoder")
       for width in ("embed_dim", "ffn_embed_dim", "attention_heads")},
    "encoder_layers": DEPTH, "decoder_layers": DEPTH, "base_layers": (0, 0),
    "task_module_layers": (0, 1 << 10), "fusion_dim": WIDTH,
    "language_adapter_dim": (0, 1 << 20), "task_adapter_reduction": WIDTH,
    "lora_rank": (0, 1 << 20),
    "max_source_positions": (1, 1 << 40), "max_target_positions": (1, 1 << 40),
    "mix_denoising": SHARE,
    "quant_noise_pq": SHARE, "quant_noise_scalar": SHARE, "label_smoothing": SHARE,
    "quant_noise_pq_block_size": WIDTH,
}  # fmt: skip


def recorded_groups(content: Mapping[str, Any], path: str) -> dict[str, dict[str, Any]]:
    """Options of model, task and criterion by ``args``, else ``cfg``; {} where there are none."""
    if content.get("args") is not None:  # one table for all, as fairseq wrote it before 0.10
        flat = _table(content["args"], path)
        return {name: flat | {"_name": flat.get(name)} for name in GROUPS} | {"model": flat}
    groups = _table(content.get("cfg"), path)
    return {name: _table(groups.get(name), path) for name in GROUPS}


def _table(values: Any, path: str) -> dict[str, Any]:
    from omegaconf import DictConfig, OmegaConf

    table = vars(values) if type(values) is Namespace else values
    if type(values) is DictConfig:  # of fairseq 0.10, and possibly damaged
        with suppress(Exception):
            table = OmegaConf.to_container(values, resolve=False)
    if table is not None and not isinstance(table, dict):
        raise LaftError(f"{path}: its options are a {type(values).__name__}, no table of them")
    return dict(table or {})


def asks_for_ours(groups: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a file's options name one of LAFT's architectures or tasks."""
    keys = (("model", "arch"), ("model", "_name"), ("task", "task"), ("task", "_name"))
    names = [groups[group].get(key) for group, key in keys]
    return any(isinstance(name, str) and name in (*TASKS, *architectures()) for name in names)


def architectures() -> list[str]:
    """The architectures that may be built from a file."""
    from fairseq.models import ARCH_MODEL_NAME_REGISTRY

    return [name for name, model in ARCH_MODEL_NAME_REGISTRY.items() if model == MODEL]


def model_options(recorded: Mapping[str, Any], path: str) -> Namespace:
    """The model's options that a file may say, and its architecture.

    Raises:
        LaftError: names the file and the option.
    """
    from fairseq.models import ARCH_MODEL_REGISTRY

    names = [recorded[key] for key in ("arch", "_name") if recorded.get(key) is not None]
    for name in names or ["none"]:
        _expect_one_of(architectures(), name, "architecture", path)
    task = recorded.get("task") or TASKS[-1]
    _expect_one_of(TASKS, task, "task", path)
    options = checked_options(ARCH_MODEL_REGISTRY[names[0]].add_args, recorded, path)
    return Namespace(arch=names[0], _name=names[-1], task=task, **options)


def configuration(groups: Mapping[str, Mapping[str, Any]], path: str) -> dict[str, Any]:
    """fairseq's whole ``cfg``: the options that a file may say, all others at their defaults.

    Raises:
        LaftError: names the file and the option.
    """
    from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    cfg = dict(_default_groups())
    if groups["model"]:
        cfg["model"] = model_options(groups["model"], path)
    for name, allowed, registry in (
        ("task", TASKS, TASK_DATACLASS_REGISTRY),
        ("criterion", CRITERIONS, CRITERION_DATACLASS_REGISTRY),
    ):
        kind = groups[name].get("_name")
        if kind is not None:
            _expect_one_of(allowed, kind, name, path)
            # What this process has not imported it has no use for.
            cfg[name] = _group(registry[kind], groups[name], path) if kind in registry else None
    return cfg


def _expect_one_of(allowed: Any, name: Any, what: str, path: str) -> None:
    if not isinstance(name, str) or name not in allowed:
        raise LaftError(
            f"{path}: its {what} is {shorten(name)}; of files only {', '.join(allowed)} are built"
        )


def _group(kind: type, recorded: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The options of a dataclass of fairseq's, those at their default that a file does not say."""
    from fairseq.dataclass.utils import gen_parser_from_dataclass

    def add_args(parser: ArgumentParser) -> None:
        gen_parser_from_dataclass(parser, kind(), delete_default=True)
        for field in filter(_is_copied, fields(kind)):  # which fairseq leaves to other groups
            types = get_args(field.type) or (field.type,)
            form: Any = {"action": "store_true"} if bool in types else {"type": types[0]}
            parser.add_argument(f"--{field.name}", **form)

    defaults = {field.name: _default(field) for field in fields(kind)}
    return defaults | checked_options(add_args, recorded, path) | {"_name": recorded["_name"]}


def _is_copied(field: Field[Any]) -> bool:
    """Whether fairseq copies the option from another group, as in ``${common.seed}``."""
    return isinstance(field.default, str) and field.default.startswith("${")


def _default(field: Field[Any]) -> Any:
    if not _is_copied(field):
        return field.default
    group, option = str(field.default)[2:-1].split(".")
    return _default_groups()[group][option]


@cache
def _default_groups() -> Mapping[str, Any]:
    """fairseq's options of everything else, at their defaults."""
    from fairseq.dataclass.configs import FairseqConfig
    from omegaconf import OmegaConf

    groups = {f.name: f.default for f in fields(FairseqConfig) if isinstance(f.default, type)}
    cfg = OmegaConf.create({name: OmegaConf.structured(kind) for name, kind in groups.items()})
    values: Any = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    return values | dict.fromkeys(
        ("criterion", "optimizer", "lr_scheduler", "scoring", "bpe", "tokenizer")
    )


def checked_options(
    add_args: Callable[[ArgumentParser], None], recorded: Mapping[str, Any], path: str
) -> dict[str, Any]:
    """Those of a file's options that ``add_args`` adds to a command line, of its types and ranges.

    Raises:
        LaftError: names the file and the option.
    """
    options: dict[str, Any] = {}
    for action in _actions(add_args):
        value = recorded.get(action.dest)
        absent = value is None or (isinstance(value, str) and not value)
        if absent or action.dest in LEFT_BEHIND:
            continue
        if not _is_allowed(action, value):
            raise LaftError(
                f"{path}: its option {action.dest} is {shorten(value)}, which is not taken from a "
                "file"
            )
        options[action.dest] = value
    return options


@lru_cache(8)
def _actions(add_args: Callable[[ArgumentParser], None]) -> list[Action]:
    parser = ArgumentParser(allow_abbrev=False, add_help=False)
    add_args(parser)
    return parser._actions


def _is_allowed(action: Action, value: Any) -> bool:
    """Whether the option may have the value; none is, of an option that is evaluated or opened."""
    kind, name = type(value), action.dest
    if action.choices is not None:
        return kind is str and value in action.choices
    if action.nargs == 0:
        return kind is bool
    if kind is int or (kind is float and action.type is float):
        default = SHARE if name.endswith(("dropout", "layerdrop")) else ANY_NUMBER
        low, high = RANGES.get(name, default)
        return action.type in (int, float) and low <= value <= high
    return kind is str and name in STRINGS and is_plain(value)
