"""Imports point down, and the command line starts light."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.house import imports, shipped

MODULES = {shipped.module_name(path): path for path in shipped.python(imports.PACKAGE)}


def imported_by(module: str) -> set[str]:
    path = MODULES[module]
    return imports.imported(shipped.tree(path), module, path.name == "__init__.py")


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    assert not imports.trespasses(module, imported_by(module))


def test_no_circles() -> None:
    graph = {m: {n for n in imported_by(m) if n in MODULES and n != m} for m in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")


def top_level_imports(tree: ast.Module) -> set[str]:
    """Roots of what is imported outside functions and outside `if TYPE_CHECKING`."""
    pending, roots = list(ast.iter_child_nodes(tree)), set()
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            roots |= imports.imported(node, "", False)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))
    return roots


def is_light(name: str) -> bool:
    root, _, rest = name.partition(".")
    return root in sys.stdlib_module_names or (
        root == imports.PACKAGE and rest.split(".")[0] in {"errors", "cli"}
    )


@pytest.mark.parametrize("module", [m for m in MODULES if imports.part(m) == "cli"])
def test_a_subcommand_imports_heavy_things_inside_functions(module: str) -> None:
    names = top_level_imports(shipped.tree(MODULES[module]))
    heavy = sorted(name for name in names if not is_light(name))
    assert not heavy, f"{module} imports at its top: {', '.join(heavy)}"


def check(module: str, code: str, is_package: bool = False) -> list[str]:
    return imports.trespasses(module, imports.imported(ast.parse(code), module, is_package))


@pytest.mark.parametrize(
    ("module", "code", "allowed"),
    [
        ("laft_fairseq.cli.score", "from laft_fairseq.tasks import laft_generation", True),
        ("laft_fairseq.models.laft_mbart", "from laft_fairseq.method.fusion import Fusion", True),
        ("laft_fairseq.models.laft_mbart", "import laft_fairseq.tasks.laft_generation", False),
        ("laft_fairseq.models.laft_mbart", "from ..tasks import laft_generation", False),
        ("laft_fairseq.method", "from .. import models", False),
        ("laft_fairseq.method.systems", "def f():\n    from laft_fairseq import models", False),
        ("laft_fairseq.method.systems", "from laft_fairseq.errors import LaftError", True),
        ("laft_fairseq.languages.tags", "from laft_fairseq.scoring.rouge import x", False),
        ("laft_fairseq.scoring.rouge", "from laft_fairseq.languages.scripts import x", True),
        ("laft_fairseq.hub", "import preprocess.trim", False),
        ("laft_fairseq.method.systems", "import torch, laft", True),
    ],
)
def test_the_rule_itself(module: str, code: str, allowed: bool) -> None:
    wrong = check(module, code, is_package=module.count(".") == 1 and module.endswith("method"))
    assert bool(wrong) is not allowed


def test_a_part_without_a_level_is_reported() -> None:
    with pytest.raises(LookupError, match=r"laft_fairseq\.utils: no level"):
        check("laft_fairseq.method.systems", "import laft_fairseq.utils")


def test_top_level_imports_sees_through_if_and_class_but_not_functions() -> None:
    code = "import a\nif x:\n  import b\nclass C:\n  import c\ndef f():\n  import d\n"
    code += "if TYPE_CHECKING:\n  import e\n"
    assert top_level_imports(ast.parse(code)) == {"a", "b", "c"}
