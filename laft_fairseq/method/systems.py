"""The systems compared: which modules each adds, and what each stage trains (section 3.3).

Freezing is a pure function of a parameter's name.
"""

import re
from dataclasses import dataclass

from laft_fairseq.errors import LaftError

STAGES = ("denoising", "generation")  # stage 1 and stage 2

# What a stage may train: the beginning of a parameter's name, as a regular expression.
GROUPS = {
    "everything": "",
    "encoder_layers": r"encoder\.layers\.",
    "encoder_top2": r"encoder\.layers\.({second}|{top})\.",  # the numbers of the two top layers
    "query_and_key": r"(en|de)coder\.layers\..*_attn\.[qk]_proj\.",
    "task_module": r"encoder\.task_module\.",
    "fusion": r"encoder\.fusion\.",
    "gate": r"encoder\.gate\.",
    "language_adapter": r".*\.language_adapter\.",
    "task_adapter": r".*\.task_adapter\.",
    "lora": r".*\.lora\.",
    "new_tags": r"decoder\.new_tag_rows\.",
}


@dataclass(frozen=True)
class System:
    """A system compared in the paper, or a baseline beside it."""

    paper_name: str  # its name in the paper
    modules: tuple[str, ...]  # what it adds to the backbone
    denoising: tuple[str, ...]  # the groups of GROUPS that stage 1 trains
    generation: tuple[str, ...]  # those that stage 2 trains


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
    "lora": System("LoRA, not in the paper", ("lora",), ("lora", "new_tags"), ("lora",)),
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

    ``encoder_layers`` is how many layers the backbone's encoder has.

    Raises:
        LaftError: unknown method.
    """
    layers = {"second": encoder_layers - 2, "top": encoder_layers - 1}
    groups = getattr(find(method), stage)
    return any(re.match(GROUPS[group].format(**layers), parameter) for group in groups)


def trains_encoder(method: str) -> bool:
    """Return whether a stage of ``method`` changes the backbone's encoder, and so every e_L.

    Raises:
        LaftError: unknown method.
    """
    in_every_group = "encoder.layers.0.self_attn.q_proj.weight"
    return any(is_trained(in_every_group, method, stage, 1) for stage in STAGES)
