"""How a function of fairseq is replaced by one of ours that calls it."""

import functools
from collections.abc import Callable
from typing import Any


def wrap(owner: Any, replacement: Callable[..., Any]) -> None:
    """Replace the function of the same name in ``owner``, a module or class, once.

    ``replacement`` takes the stock function, then its arguments.
    """
    name = replacement.__name__
    stock = getattr(owner, name)
    if getattr(stock, "laft", False):
        return

    @functools.wraps(stock, updated=())
    def patched(*args: Any, **kwargs: Any) -> Any:
        return replacement(stock, *args, **kwargs)

    patched.laft = True  # type: ignore[attr-defined]
    setattr(owner, name, patched)
