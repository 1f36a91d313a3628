"""Nothing loads code from a file, lets a mismatch pass, or knows the machine it was written on."""

import ast
import re
from pathlib import Path

import pytest

from tests.house import shipped

CODE = shipped.python("laft_fairseq", "examples", "preprocess")

# The brackets keep each pattern from finding itself here.
MACHINE = re.compile(
    r"(?<![\w.$}-])/(?:wor[k]|roo[t]|hom[e]|User[s])/[\w.-]"  # somebody's folders
    r"|/op[t]/(?:wheels|pypi)"
    r"|pyp[i]\.org|pythonhoste[d]\.org|download\.pytorc[h]\.org|deb\.debia[n]\.org|npmj[s]\.org"
)
UNSAFE_TEXT = re.compile(r"weights_only\s*=\s*Fals[e]|TORCH_FORCE_NO_WEIGHTS_ONL[Y]")
PICKLE = {f"pickle.{name}" for name in ("load", "loads", "Unpickler")}


def qualified(node: ast.ImportFrom | ast.Attribute) -> set[str]:
    """`pickle.load` for both `pickle.load` and `from pickle import load`."""
    if isinstance(node, ast.Attribute):
        return {ast.unparse(node)}
    return {f"{node.module}.{alias.name}" for alias in node.names}


def unsafe(tree: ast.Module) -> list[str]:
    """What the code does that it must not: each as `line: what`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Attribute):
            found += [f"{node.lineno}: {name}" for name in sorted(PICKLE & qualified(node))]
        if not isinstance(node, ast.Call):
            continue
        function = ast.unparse(node.func).split(".")[-1]
        off = {k.arg for k in node.keywords if ast.unparse(k.value) == "False"}
        if "weights_only" in off:
            found.append(f"{node.lineno}: weights_only off")
        lax = len(node.args) > 1 and ast.unparse(node.args[1]) == "False"
        if ("strict" in off and function != "zip") or (function == "load_state_dict" and lax):
            found.append(f"{node.lineno}: strict off")
    return found


@pytest.mark.parametrize("path", CODE, ids=shipped.name)
def test_loading_is_safe_and_strict(path: Path) -> None:
    assert not unsafe(shipped.tree(path)), f"{shipped.name(path)}, line: what"


def test_no_machine_paths() -> None:
    found = [
        f"{shipped.name(path)}: {match.group()}"
        for path, text in shipped.texts()
        for match in MACHINE.finditer(text)
    ]
    assert not found


def test_safe_loading_is_not_switched_off_in_scripts() -> None:
    scripts = [path for path in shipped.shell_scripts() if UNSAFE_TEXT.search(path.read_text())]
    assert not scripts


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("pickle.load(f)", 1),
        ("from pickle import loads", 1),
        ("try:\n  f()\nexcept pickle.UnpicklingError:\n  pass", 0),
        ("torch.load(f, weights_only=False)", 1),
        ("torch.load(f, weights_only=True)", 0),
        ("model.load_state_dict(s, strict=False)", 1),
        ("model.load_state_dict(s, False)", 1),
        ("model.load_state_dict(s)", 0),
        ("zip(a, b, strict=False)", 0),
    ],
)
def test_the_rule_itself(code: str, count: int) -> None:
    assert len(unsafe(ast.parse(code))) == count


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cd /hom" "e/me/data", True),
        ("data=/wor" "k/main", True),
        ("$HOME/wor" "k/x", False),
        ("frame" "/wor" "k/x", False),
        ("see pyp" "i.org", True),
        ("/tmp/x", False),
    ],
)  # fmt: skip
def test_the_pattern_itself(text: str, found: bool) -> None:
    assert bool(MACHINE.search(text)) is found
