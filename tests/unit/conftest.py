"""A small data-bin for the tests of tasks, data sets and criterions."""

from pathlib import Path

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six training examples a language; not to be written to."""
    return tiny.write_data(tmp_path_factory.mktemp("data"), count=6)
