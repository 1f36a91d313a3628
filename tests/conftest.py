"""What every test shares: a quiet, single-threaded process and the paths of the repository."""

import os

# Before anything imports numpy, torch or matplotlib. Two test processes share the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is marked by the folder that it lives in."""
    for item in items:
        folder = item.path.relative_to(REPOSITORY / "tests").parts[0]
        if folder == "integration":
            item.add_marker(pytest.mark.integration)
        elif folder == "recipes":
            item.add_marker(pytest.mark.recipe)
