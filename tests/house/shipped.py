"""What the repository ships: its files, and its Python read as syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NOT_SHIPPED = {".venv", ".git", "build", "dist", "out", "__pycache__"}


def files() -> list[Path]:
    """Every shipped file: what git tracks or would track; without git, what is not built."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True)
        paths = [REPOSITORY / name for name in listed.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [p for p in REPOSITORY.rglob("*") if not NOT_SHIPPED & set(p.parts)]
    return sorted(path for path in paths if path.is_file())


def name(path: Path) -> str:
    """The path as messages show it."""
    return path.relative_to(REPOSITORY).as_posix()


def texts() -> Iterator[tuple[Path, str]]:
    """Every shipped file under a megabyte that is UTF-8 text, with its text."""
    for path in files():
        data = path.read_bytes() if path.stat().st_size < 2**20 else b"\0"
        if b"\0" in data:
            continue
        try:
            yield path, data.decode()
        except UnicodeDecodeError:
            continue


def python(*folders: str) -> list[Path]:
    """The shipped Python files below the given folders of the repository."""
    return [p for p in files() if p.suffix == ".py" and name(p).split("/")[0] in folders]


def shell_scripts() -> list[Path]:
    """Every shipped shell script, whether by its suffix or by its first line."""
    return [
        path
        for path, text in texts()
        if path.suffix in {".sh", ".bash"}
        or (text.startswith("#!") and "sh" in text.split("\n")[0])
    ]


def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=name(path))


def module_name(path: Path, root: Path = REPOSITORY) -> str:
    """`laft_fairseq/cli/__init__.py` is `laft_fairseq.cli`."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
