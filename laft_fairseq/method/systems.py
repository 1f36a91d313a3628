"""The systems compared: which modules each adds, and what each stage trains (section 3.3).

Freezing is a pure function of a parameter's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from laft_fairseq.errors import LaftError

STAGES = ("denoising", "generation")  # stage 1 and stage 2

# Whether a parameter belongs to a group, by its name and the number of encoder layers.
Group = Callable[[str, int], bool]

ENCODER_LAYER = re.compile(r"^encoder\.layers\.(\d+)\.")


def _encoder_layers(name: str, layers: int) -> bool:
    return ENCODER_LAYER.match(name) is not None


def _encoder_top2(name: str, layers: int) -> bool:
    match = ENCODER_LAYER.match(name)
    return match is not None and int(match.group(1)) >= layers - 2


def _query_and_key(name: str, layers: int) -> bool:
    return re.match(r"^(en|de)coder\.layers\..*_attn\.[qk]_proj\.", name) is not None


GROUPS: dict[str, Group] = {
    "everything": lambda name, layers: True,
    "encoder_layers": _encoder_layers,
    "encoder_top2": _encoder_top2,
    "query_and_key": _query_and_key,
    "task_module": lambda name, layers: name.startswith("encoder.task_module."),
    "fusion": lambda name, layers: name.startswith("encoder.fusion."),
    "gate": lambda name, layers: name.startswith("encoder.gate."),
    "language_adapter": lambda name, layers: ".language_adapter." in name,
    "task_adapter": lambda name, layers: ".task_adapter." in name,
    "new_tags": lambda name, layers: name.startswith("decoder.new_tag_rows."),
}


@dataclass(frozen=True)
class System:
    """A system compared in the paper, or a baseline beside it.

    Attributes:
        paper_name: its name in the paper.
        modules: what it adds to the backbone.
        denoising, generation: the groups of ``GROUPS`` that stage 1 and stage 2 train.
    """

    paper_name: str
    modules: tuple[str, ...]
    denoising: tuple[str, ...]
    generation: tuple[str, ...]


def _finetuned(paper_name: str, group: str) -> System:
    """Return a system that adds nothing and trains the same parameters in both stages.

    Stage 1 also trains the tags of languages that are new to the backbone.
    """
    return System(paper_name, (), (group, "new_tags"), (group,))


LAFT_MODULES = ("task_module", "fusion", "language_adapter")
GATED = ("task_module", "gate")

METHODS: dict[str, System] = {  # by --method
    "laft": System("LAFT", LAFT_MODULES, (*LAFT_MODULES, "new_tags"), ("task_module",)),
    "mbart_full": _finetuned("mBART (full)", "everything"),
    "mbart_enc": _finetuned("mBART (enc)", "encoder_layers"),
    "mbart_enc_top2": _finetuned("mBART (enc top-2)", "encoder_top2"),
    "adapter": System(
        "Adapter", ("task_adapter",), ("task_adapter", "new_tags"), ("task_adapter",)
    ),
    "tm_adv": System("TM + adv", GATED, ("everything",), ("everything",)),
    "tm_adv_frozen": System("TM + adv, backbone frozen", GATED, (*GATED, "new_tags"), GATED),
    "mbart_attn_qk": _finetuned("mBART (query and key), not in the paper", "query_and_key"),
}


def find(name: str) -> System:
    """Return the system of ``--method`` ``name``. Raises LaftError for an unknown one."""
    if name not in METHODS:
        raise LaftError(f"--method {name}: unknown; choose from {', '.join(METHODS)}")
    return METHODS[name]


def is_trained(parameter: str, method: str, stage: str, encoder_layers: int) -> bool:
    """Return whether ``stage`` of ``method`` trains the parameter of this name.

    Raises:
        LaftError: unknown method.
        ValueError: unknown stage.
    """
    system = find(method)
    if stage not in STAGES:
        raise ValueError(f"stage {stage!r} is none of {STAGES}")
    groups = system.denoising if stage == "denoising" else system.generation
    return any(GROUPS[group](parameter, encoder_layers) for group in groups)


def trains_encoder(method: str) -> bool:
    """Return whether a stage of ``method`` changes the backbone's encoder, and so every e_L.

    Raises:
        LaftError: unknown method.
    """
    in_every_group = "encoder.layers.0.self_attn.q_proj.weight"
    return any(is_trained(in_every_group, method, stage, 1) for stage in STAGES)
