"""What the page relies on in a result file, by its format; what is mistyped is refused."""

from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.reporting import names

AGAIN = "delete it and run its cell again"
_LARGEST = 1e15

# A schema is a type; [kind] a list of it; a tuple a choice of names; a dict by key,
# "?" after a key that may be absent or null, "*" for every key. Other keys are not looked at.
_SYSTEM = {
    "setting": tuple(names.SETTINGS),
    "method": tuple(names.METHODS),
    "variant": str,
    "lang": str,
}
_RETRIEVAL = {"forward": float, "backward": float, "chance?": float}
_PANEL = {
    "langs?": [str],
    "stage?": str,
    "silhouette?": float,
    "retrieval?": _RETRIEVAL,
    "retrieval_masked?": _RETRIEVAL,
    "probe?": {"value": float},
    "token_probe?": {"value": float},
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "laft-result/1": {
        **_SYSTEM,
        "task": tuple(names.TASKS),
        "selection": names.SELECTIONS,
        "seed": int,
        "scores": {
            "rougeL": {"f": float},
            "signature?": str,
            "floors?": {"*": {"rougeL?": {"f": float, "low": float, "high": float}}},
        },
        "items": {"rougeL": [float]},
        "learning_rate?": {"stage1?": float, "stage2?": float},
        "grid?": [float],
        "trained?": {"parameters?": int, "of?": int},
        "cost?": {f"{stage}_seconds?": float for stage in ("stage1", "stage2", "generate")},
        "commands?": [str],
        "curve?": [{"rougeL?": {"*": float}, "copied?": {"*": float}}],
        "outputs?": [str],
    },
    "laft-experiment/1": {
        "title?": str,
        "note?": str,
        "backbone?": {"name?": str, "parameters?": int},
        "budget?": dict,
        "targets?": [str],
        "contrasts?": [{**_SYSTEM, "task?": tuple(names.TASKS)}],
        "not_testable?": [{"*": str}],
        "samples?": {"*": {"*": {"inputs?": [str], "references?": [str]}}},
    },
    "laft-gates/1": {
        "gates": [{"passed?": bool, "title?": str, "name?": str, "detail?": str, "hangs?": str}]
    },
    "laft-representations/1": {
        "variant?": str,
        "measures?": {"removed?": {"*": float}, "panels?": [_PANEL]},
    },
}


def is_number(value: Any) -> bool:
    """Whether a value is a finite number of a size that a score or a count may have."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -_LARGEST < value < _LARGEST


def check(value: Any, kind: Any, key: str, where: str) -> None:
    """Refuse a value under `key` of the file `where` that is not of a schema's kind."""
    if isinstance(kind, tuple):
        if value not in kind:
            raise LaftError(f"{where}: unknown {key} {value!r}; choose from {', '.join(kind)}")
    elif isinstance(kind, list):
        check(value, list, key, where)
        for one in value:
            check(one, kind[0], key, where)
    elif isinstance(kind, dict):
        check(value, dict, key, where)
        for name, inner in kind.items():
            for each in value if name == "*" else [name.rstrip("?")]:
                if not (name.endswith("?") and value.get(each) is None):
                    check(value.get(each), inner, f"{key}.{each}".lstrip("."), where)
    elif not (is_number(value) if kind is float else isinstance(value, kind)) or (
        kind is int and not is_number(value)
    ):
        raise LaftError(f"{where}: {key!r} is missing or of the wrong type; {AGAIN}")
