"""What the recipes' tests share."""

from collections.abc import Iterator

import pytest

from tests.recipes.warm import Warm


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Commands of fairseq and laft that start at once."""
    server = Warm(tmp_path_factory.mktemp("bin"))
    yield server
    server.stop()
