"""The consent policy: a YAML file, checked against its schema, with its digest in every run stamp."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import orjson
import yaml

from eventlib.arguments import as_path
from eventlib.consent.signals import Signals
from eventlib.errors import BadCallError
from eventlib.resources import schemas_dir
from eventlib.units import end_of_day

__all__ = ["Basis", "Policy", "default_policy", "load_policy"]

_DEFAULT: Final = "default"


def default_policy() -> Path:
    """Return where the shipped policy lies, for a user to copy."""
    return schemas_dir() / "policy" / "default.yaml"


@dataclass(frozen=True, slots=True)
class Basis:
    """A basis other than consent (C11): for these purposes, of these sources, until `expires` (microseconds)."""

    purposes: frozenset[str]
    basis: str
    owner: str
    expires: int
    sources: frozenset[str] | None = None
    jurisdictions: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be used for what.

    Attributes
    ----------
    opt_out : frozenset of str
        Jurisdictions where people may be measured until they opt out.
    impersonal_always, impersonal_unless_owned : frozenset of str
        Event names about no person (C00).
    retention_days, grant_max_age_days : int or None
        Limits of C02 and C08.
    bases : tuple of Basis
        C11, the `sources:` section included.
    source_jurisdictions : mapping of str to str
        Jurisdiction of a source whose events state none.
    signals : Signals
        What consent strings mean in our purposes.
    digest : str
        SHA-256 of the file.
    """

    name: str
    version: str
    digest: str
    opt_out: frozenset[str]
    impersonal_always: frozenset[str]
    impersonal_unless_owned: frozenset[str]
    retention_days: int | None = None
    grant_max_age_days: int | None = None
    superseded_notices: frozenset[str] = frozenset()
    bases: tuple[Basis, ...] = ()
    source_jurisdictions: Mapping[str, str] = field(default_factory=dict)
    max_withheld: float = 0.95
    signals: Signals = field(default_factory=Signals)

    @property
    def impersonal_names(self) -> frozenset[str]:
        """Return the event names that a decision depends on."""
        return self.impersonal_always | self.impersonal_unless_owned


def _basis(entry: Mapping[str, Any], sources: frozenset[str] | None) -> Basis:
    named = entry.get("sources")
    jurisdictions = entry.get("jurisdictions")
    return Basis(
        purposes=frozenset(entry["purposes"]),
        basis=entry["basis"],
        owner=entry["owner"],
        expires=end_of_day(date.fromisoformat(str(entry["expires"]))),  # it holds on that day
        sources=sources if sources is not None else (frozenset(named) if named else None),
        jurisdictions=frozenset(jurisdictions) if jurisdictions else None,
    )


def _plain(node: Any) -> Any:
    """YAML reads a day as a date; the schema knows texts."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node.isoformat() if isinstance(node, date) else node


def _violation(content: Any) -> jsonschema_rs.ValidationError | None:
    """Return the first thing that is wrong with a policy; of what JSON has no word for, a ValueError."""
    schema = orjson.loads((schemas_dir() / "policy" / "policy.schema.json").read_bytes())
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return next(iter(validator.iter_errors(content)), None)


@lru_cache(maxsize=4)
def _parse(text: bytes, where: str) -> dict[str, Any]:
    try:
        content = _plain(yaml.safe_load(text))  # libyaml's own loader is faster, and dies of deep nesting
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # a day that no calendar has is a ValueError
        raise BadCallError(f"the policy {where} is not YAML: {error}") from error
    try:
        found = _violation(content)
    except ValueError as error:
        raise BadCallError(
            f"the policy {where} holds what JSON does not know, such as a set, bytes, or a key that is not a text "
            f"('no' without quotes is one): {error}"
        ) from error
    if found is not None:
        place = ".".join(map(str, found.instance_path)) or "the top"
        raise BadCallError(
            f"the policy {where} is not valid at {place}: {found.message}. A policy is whole: start from a copy of "
            f"{default_policy()}"
        )
    assert isinstance(content, dict)
    return content


def load_policy(policy: str | os.PathLike[str] = _DEFAULT) -> Policy:
    """Load a policy file.

    Parameters
    ----------
    policy
        Path of a YAML file; `default` is the shipped one.

    Raises
    ------
    BadCallError
        If the file is not there, is not YAML, or is no valid policy.

    Examples
    --------
    >>> "US-CA" in load_policy().opt_out
    True
    """
    named = as_path("policy", policy)
    path = default_policy() if os.fspath(policy) == _DEFAULT else named
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadCallError(f"cannot read the policy {os.fspath(policy)}: {error.strerror}") from error
    content = _parse(text, os.fspath(policy))
    sources: dict[str, Any] = content.get("sources") or {}
    return Policy(
        name=_DEFAULT if os.fspath(policy) == _DEFAULT else path.name,
        version=content["version"],
        digest=hashlib.sha256(text).hexdigest(),
        opt_out=frozenset(content["jurisdictions"]["opt_out"]),
        impersonal_always=frozenset(content["impersonal"]["always"]),
        impersonal_unless_owned=frozenset(content["impersonal"]["unless_owned"]),
        retention_days=content.get("retention_days"),
        grant_max_age_days=content.get("grant_max_age_days"),
        superseded_notices=frozenset(content.get("superseded_notices") or ()),
        bases=(
            *(_basis(entry, None) for entry in content.get("other_basis") or ()),
            *(_basis(entry, frozenset([source])) for source, entry in sources.items()),
        ),
        source_jurisdictions={
            source: entry["jurisdiction"] for source, entry in sources.items() if entry.get("jurisdiction")
        },
        max_withheld=content.get("max_withheld", 0.95),
        signals=Signals.of(content.get("signals") or {}),
    )
