"""Stand-ins for packages that are not installed, so that `--help` works without them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from unittest.mock import MagicMock


class StandIns(MetaPathFinder, Loader):
    """Finds every module that no other finder has found, but for ours."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a stand-in."""
        ours = name.split(".")[0] in ("laft_fairseq", "preprocess")
        return None if ours else ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return an object that has every attribute and can be called."""
        return MagicMock(name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""


def install() -> None:
    """Use stand-ins where an import would fail, in the rest of this process."""
    sys.meta_path.append(StandIns())
