"""Where the shipped schemas and notebooks are: inside the wheel, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

from eventlib.errors import BadCallError

__all__ = ["notebooks_dir", "schemas_dir"]

_PACKAGE = Path(__file__).resolve().parent


def _resource(name: str) -> Path:
    for candidate in (_PACKAGE / "_resources" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise BadCallError(
        f"this installation of eventlib has no {name}/ folder; install it again from its wheel"
    )


def schemas_dir() -> Path:
    """Return the folder of the shipped JSON Schemas and policies."""
    return _resource("schemas")


def notebooks_dir() -> Path:
    """Return the folder of the shipped notebooks."""
    return _resource("notebooks")
