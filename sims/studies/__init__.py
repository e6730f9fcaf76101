"""Studies, one a file: what to vary, what to measure."""

from __future__ import annotations

import importlib
import pkgutil

from sims.study import Study
from t3theory.exceptions import InputError

__all__ = ["get", "names"]


def names() -> list[str]:
    """The studies there are, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Study:
    """The study of that name.

    Raises:
        InputError: there is none.

    >>> get("necessity").kind
    'sims.necessity'
    """
    if name not in names():
        raise InputError(f"study {name!r}: expected one of {', '.join(names())}")
    study: Study = importlib.import_module(f"{__name__}.{name}").STUDY
    return study
