"""Who imports whom, and who may: the levels of the house."""

import ast
from collections.abc import Iterable

PACKAGE = "laft_fairseq"

# Each package stands on a level and imports from its own or a lower one.
LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "files", "progress"}),
    frozenset({"method", "languages"}),  # the paper; tags and dictionaries
    frozenset({"baselines", "training", "scoring", "reporting"}),
    frozenset({"checkpoints", "components", "data"}),
    frozenset({"compat", "backbone"}),
    frozenset({"models"}),
    frozenset({"tasks", "criterions"}),
    frozenset({"", "register"}),  # the package itself: imports what registers with fairseq
    frozenset({"hub", "analysis"}),
    frozenset({"serving"}),
    frozenset({"cli"}),
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

    Of `from a.b import c` both `a.b` and `a.b.c` are given, as only running the code tells whether
    c is a module.
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
        elif level(name) > level(module):
            wrong.append(f"{module} imports {name}: that is upwards, imports point down")
    return wrong
