"""Who imports whom, and who may: the levels of the house."""

import ast
from collections.abc import Iterable

PACKAGE = "laft_fairseq"

# Each part of the package stands on a level and imports from its own or a lower one. A name is
# the first one below the package; a new file at the top of the package gets its level here.
LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset(
        {
            "agreement",
            "backbone",
            "backbone_folder",
            "checkpoint_format",
            "checkpoint_options",
            "checkpoint_size",
            "compat",
            "compat_checkpoints",
            "compat_distributed",
            "compat_shards",
            "compat_trainer",
            "component_controls",
            "component_shards",
            "components",
            "components_file",
            "encoder_cache",
            "frozen_weights",
            "hugging_face",
            "hugging_face_vocabulary",
            "language_components",
            "language_scripts",
            "language_tags",
            "methods",
            "new_languages",
            "piece_selection",
            "precision",
            "resuming",
            "scoring",
            "sentencepiece_dictionary",
            "tables",
            "text_lines",
            "whole_files",
        }
    ),
    frozenset({"modules"}),
    frozenset({"models"}),
    frozenset({"tasks", "criterions"}),
    frozenset({"", "register"}),  # the package itself: imports what registers with fairseq
    frozenset(
        {
            "cli",
            "geometry",
            "hub",
            "hub_search",
            "hub_text",
            "language_figure",
            "language_measures",
            "latin_words",
            "loading",
            "parameter_counts",
            "raw_text",
            "representations",
            "trimming",
        }
    ),
)
NEVER = frozenset({"examples", "preprocess", "tests"})


def part(module: str) -> str:
    """`laft_fairseq.models.laft_mbart` belongs to `models`, the package itself to ``."""
    return [*module.split("."), ""][1]


def level(module: str) -> int:
    """The level of a module of the package; the module has to be in the table."""
    for number, parts in enumerate(LEVELS):
        if part(module) in parts:
            return number
    raise LookupError(f"{module}: no level; name it in LEVELS in tests/house/imports.py")


def imported(tree: ast.AST, module: str, is_package: bool) -> set[str]:
    """Absolute names that the code of `module` imports, inside functions too.

    `from laft_fairseq import methods` counts as `laft_fairseq.methods`; of `from a.b import c`
    both `a.b` and `a.b.c` are given, as only running the code tells whether c is a module.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")
                above = above[: len(above) - node.level + is_package]
                base = ".".join([*above, base] if base else above)
            if base != PACKAGE:
                names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def trespasses(module: str, names: Iterable[str]) -> list[str]:
    """What `module` imports and may not: each as a sentence."""
    wrong = []
    for name in sorted(names):
        root = name.split(".")[0]
        if root in NEVER:
            wrong.append(f"{module} imports {name}: the package imports nothing from {root}/")
        elif root != PACKAGE:
            continue
        elif part(module) == "scoring" and part(name) != "scoring":
            wrong.append(f"{module} imports {name}: scoring imports nothing of ours")
        elif level(name) > level(module):
            wrong.append(f"{module} imports {name}: that is upwards, imports point down")
    return wrong
