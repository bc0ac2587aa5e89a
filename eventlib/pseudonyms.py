"""Keyed pseudonyms: HMAC-SHA-256, never a bare hash (S2.9)."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from eventlib.errors import BadCallError

__all__ = [
    "JUNK_MARK",
    "KEY_VARIABLE",
    "Keys",
    "Pseudonymiser",
    "Written",
    "key_check",
    "load_key",
    "load_keys",
    "rotate_key",
]

KEY_VARIABLE: Final = "EVENTLIB_KEY_FILE"
_KEY_BYTES: Final = 32
_KEY_LEAST: Final = 16

JUNK_MARK: Final = "\0"
"""Begins a pseudonym of what was told to be junk (S4.1) before it became one."""


def _default_path() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "eventlib" / "key"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a key file holds.

    Attributes
    ----------
    current : bytes
        The key of all pseudonyms that are made.
    retired : tuple of bytes
        Keys of before, by which what was erased then is still known.
    file : Path
        Where they are.
    created : bool
        Whether the file was made just now.
    """

    current: bytes
    retired: tuple[bytes, ...]
    file: Path
    created: bool = False


def key_check(key: bytes) -> str:
    """Return what tells whether two runs had the same key, and nothing else about it."""
    return hmac.digest(key, b"eventlib state", "sha256").hex()


def _write_key(file: Path, text: str, flags: int) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())


def _parse_keys(text: str) -> list[bytes]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    first, *others = lines or [[]]
    if len(first) != 1 or any(words[0] != "retired" for words in others):
        raise ValueError("the first line is the key, and every other one begins with 'retired'")
    return [bytes.fromhex(words[-1]) for words in lines]


def _read_keys(file: Path) -> Keys:
    try:
        keys = _parse_keys(file.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise BadCallError(
            f"cannot read the key file {file}: it must hold at least 32 hexadecimal digits ({error})"
        ) from error
    if any(len(key) < _KEY_LEAST for key in keys):
        raise BadCallError(f"the key in {file} is too short: it must hold at least 32 hexadecimal digits")
    return Keys(keys[0], tuple(keys[1:]), file)


def load_keys(path: Path | None = None) -> Keys:
    """Return the keys of a file, of the one that `EVENTLIB_KEY_FILE` names, or of the user's configuration.

    Without any, a key is created in the user's configuration directory (mode 0600).

    Raises
    ------
    BadCallError
        If the named file cannot be read, or holds no key.
    """
    named = path or (Path(os.environ[KEY_VARIABLE]) if os.environ.get(KEY_VARIABLE) else None)
    file = named or _default_path()
    if not file.exists() and named is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        made = secrets.token_hex(_KEY_BYTES)
        try:
            _write_key(file, f"{made}\n", os.O_EXCL)
        except FileExistsError:
            return _read_keys(file)  # another run made it in the same moment
        return Keys(bytes.fromhex(made), (), file, created=True)
    return _read_keys(file)


def load_key(path: Path | None = None) -> bytes:
    """Return the key by which pseudonyms are made; see `load_keys`."""
    return load_keys(path).current


def rotate_key(path: Path | None = None) -> Keys:
    """Put a new key in the place of the current one, which is retired: the file keeps it, for what was erased under it.

    Parameters
    ----------
    path
        The key file; by default the one that `load_keys` finds.

    Returns
    -------
    Keys
        As the file now holds them.
    """
    before = load_keys(path)
    today = datetime.now(UTC).date().isoformat()
    earlier = before.file.read_text(encoding="ascii").splitlines()[1:]
    lines = [secrets.token_hex(_KEY_BYTES), f"retired {today} {before.current.hex()}", *earlier, ""]
    aside = before.file.with_name(f".{before.file.name}.{os.getpid()}")
    _write_key(aside, "\n".join(lines), os.O_EXCL)
    aside.replace(before.file)
    return _read_keys(before.file)


class Pseudonymiser:
    """Turns identifiers into pseudonyms, or leaves them where plain ones were asked for.

    Examples
    --------
    >>> Pseudonymiser(b"k" * 32)("user_id", "u-12") == Pseudonymiser(b"K" * 32)("user_id", "u-12")
    False
    >>> Pseudonymiser(b"k" * 32, plain=True)("user_id", "u-12")
    'u-12'
    """

    _PREFIX: Final = {"anonymous_id": "a-", "user_id": "u-", "session": "s-"}

    def __init__(self, key: bytes, *, plain: bool = False) -> None:
        self.key, self.plain = key, plain

    def __call__(self, namespace: str, value: str) -> str:
        """Return the pseudonym of one identifier."""
        return value if self.plain else self.keyed(namespace, value)

    def keyed(self, namespace: str, value: str) -> str:
        """Return the keyed digest even where identifiers stay plain."""
        digest = hmac.digest(
            self.key, f"{namespace}:{value}".encode("utf-8", "surrogatepass"), "sha256"
        ).hex()
        return self._PREFIX.get(namespace, "i-") + digest[:32]


class Written(Pseudonymiser):
    """Writes identifiers that are pseudonyms already: as they are, or as what they stand for where plain ones were asked for.

    Parameters
    ----------
    pseudonym
        What made them.
    names
        Pseudonym to plain identifier; looked up only where plain ones were asked for.

    Examples
    --------
    >>> Written(Pseudonymiser(b"k" * 32, plain=True), {"u-6b": "u-12"})("user_id", "u-6b")
    'u-12'
    """

    def __init__(self, pseudonym: Pseudonymiser, names: Mapping[str, str]) -> None:
        super().__init__(pseudonym.key, plain=pseudonym.plain)
        self._names = names

    def __call__(self, _namespace: str, value: str) -> str:
        """Return one identifier as it is written."""
        bare = value.removeprefix(JUNK_MARK)
        return self._names[bare] if self.plain else bare
