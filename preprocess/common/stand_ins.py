"""Stand-ins for packages that are not installed, so that `--help` works without them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from unittest.mock import MagicMock


class StandIns(MetaPathFinder, Loader):
    """Finds every module that no other finder has found.

    Not ours, nor Python's own or those of an installed package: these do without what they lack.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a stand-in."""
        package = name.split(".")[0]
        real = package != name and not isinstance(sys.modules[package], MagicMock)
        own = package in ("laft_fairseq", "preprocess") or package in sys.stdlib_module_names
        return None if own or real else ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return an object that has every attribute and can be called."""
        return MagicMock(name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""


def install() -> None:
    """Use stand-ins where an import would fail, in the rest of this process."""
    sys.meta_path.append(StandIns())
