"""What keeps the repository easy to walk through; a long file only hints at a second subject."""

import warnings

import pytest

from tests.house import shipped

HINT_LINES = 300
FILE_BYTES = 30 * 2**20
ROOT_MODULES = 5


def test_no_big_files() -> None:
    big = [shipped.name(path) for path in shipped.files() if path.stat().st_size > FILE_BYTES]
    assert not big, f"over {FILE_BYTES} bytes: {big}"


def test_few_modules_at_the_root() -> None:
    modules = sorted(path.name for path in (shipped.REPOSITORY / "laft_fairseq").glob("*.py"))
    assert len(modules) <= ROOT_MODULES, f"{modules}: give each a package"


@pytest.mark.filterwarnings("default::UserWarning")
def test_long_files_are_hinted_at() -> None:
    for path in shipped.python("laft_fairseq", "examples", "preprocess"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > HINT_LINES:
            warnings.warn(
                f"{shipped.name(path)}: {lines} lines; is there a second subject?", stacklevel=1
            )
