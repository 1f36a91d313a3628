"""Files and functions stay small enough to read in one go."""

import ast
from pathlib import Path

import pytest

from tests.house import shipped

FILE_LINES = 280
TEST_LINES = 400  # tables of cases and expected numbers
FUNCTION_LINES = 45  # without the docstring
FILE_BYTES = 30 * 2**20
CODE = shipped.python("laft_fairseq", "examples", "preprocess", "setup.py")


def long_functions(tree: ast.Module) -> list[str]:
    """Each function that is too long, as `name (line): length`."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0]
        has_docstring = isinstance(first, ast.Expr) and ast.get_docstring(node) is not None
        docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
        lines = (node.end_lineno or 0) - node.lineno + 1 - docstring
        if lines > FUNCTION_LINES:
            found.append(f"{node.name} (line {node.lineno}): {lines} lines")
    return found


def too_long(path: Path, most: int) -> str:
    """The complaint about a file of more than `most` lines; empty if there is none."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    return f"{shipped.name(path)}: {lines} lines, at most {most}" if lines > most else ""


@pytest.mark.parametrize("path", CODE, ids=shipped.name)
def test_a_file_is_short(path: Path) -> None:
    assert not too_long(path, FILE_LINES)


@pytest.mark.parametrize("path", shipped.python("tests"), ids=shipped.name)
def test_a_test_file_is_short(path: Path) -> None:
    assert not too_long(path, TEST_LINES)


@pytest.mark.parametrize("path", CODE, ids=shipped.name)
def test_functions_are_short(path: Path) -> None:
    found = long_functions(shipped.tree(path))
    assert not found, f"{shipped.name(path)}, at most {FUNCTION_LINES} lines: {'; '.join(found)}"


def test_no_big_files() -> None:
    big = [shipped.name(path) for path in shipped.files() if path.stat().st_size > FILE_BYTES]
    assert not big, f"over {FILE_BYTES} bytes: {big}"


def test_the_measure_itself() -> None:
    body = "\n".join(["    pass"] * FUNCTION_LINES)
    assert long_functions(ast.parse(f"def f():\n{body}")) == ["f (line 1): 46 lines"]
    assert not long_functions(ast.parse(f'def f():\n    """One.\n\n    Two."""\n{body[9:]}'))
