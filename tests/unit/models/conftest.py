"""A backbone's file for the tests of the model."""

from pathlib import Path

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole mBART of three languages."""
    return tiny.write_backbone(tmp_path_factory.mktemp("backbone"))
