"""Every shell script parses and stops at its first error."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.house import shipped

SCRIPTS = shipped.shell_scripts()
STOPS = re.compile(r"^set -euo pipefail$", re.MULTILINE)


@pytest.mark.parametrize("path", SCRIPTS, ids=shipped.name)
def test_it_parses(path: Path) -> None:
    result = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=shipped.name)
def test_it_stops_at_the_first_error(path: Path) -> None:
    assert STOPS.search(path.read_text()), f"{shipped.name(path)}: no `set -euo pipefail`"
