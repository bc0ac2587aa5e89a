"""Keyed pseudonyms: HMAC-SHA-256, never a bare hash (S2.9)."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from eventlib.errors import BadCallError

__all__ = ["JUNK_MARK", "KEY_VARIABLE", "Pseudonymiser", "Written", "load_key"]

KEY_VARIABLE: Final = "EVENTLIB_KEY_FILE"
_KEY_BYTES: Final = 32

JUNK_MARK: Final = "\0"
"""Begins a pseudonym of what was told to be junk (S4.1) before it became one."""


def _default_path() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "eventlib" / "key"


def load_key(path: Path | None = None) -> tuple[bytes, str | None]:
    """Return the key, from a file, the file that `EVENTLIB_KEY_FILE` names, or the user's configuration.

    Without any, a key is created in the user's configuration directory (mode 0600).

    Returns
    -------
    tuple of bytes and (str or None)
        The key, and where it was created, if it was.

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
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return load_key(file)  # another run made it in the same moment
        with os.fdopen(descriptor, "w") as out:
            out.write(made + "\n")
        return bytes.fromhex(made), os.fspath(file)
    try:
        text = file.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise BadCallError(
            f"cannot read the key file {file}: it must hold at least 32 hexadecimal digits ({error})"
        ) from error
    if len(key) < 16:
        raise BadCallError(f"the key in {file} is too short: it must hold at least 32 hexadecimal digits")
    return key, None


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
