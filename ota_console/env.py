"""Typed readers of the process environment.

Every setting comes through one of these, so that a wrong value stops the start with one sentence that names the
variable. A secret may stand in a file instead: `NAME_FILE=/run/secrets/name`. This module knows no framework.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

TRUE_WORDS: Final = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS: Final = frozenset({"0", "false", "no", "off", ""})


class ConfigurationError(Exception):
    """A variable of the environment is missing or wrong; the message is for the person who starts the server."""


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The parts of `postgres://user:password@host:port/name?option=value` or `sqlite:///path`."""

    scheme: str
    name: str
    user: str
    password: str
    host: str
    port: str
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class Environment:
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def text(self, name: str, default: str | None = None) -> str:
        """The value of NAME, or the stripped content of the file that NAME_FILE names, or the default."""
        value = self.variables.get(name)
        path = self.variables.get(f"{name}_FILE")
        if value is not None and path is not None:
            raise ConfigurationError(f"Set either {name} or {name}_FILE, not both.")
        if path is not None:
            return _content(f"{name}_FILE", Path(path))
        if value is not None:
            return value
        if default is None:
            raise ConfigurationError(f"Set {name} (or {name}_FILE); there is no default for it.")
        return default

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}; it is {value!r}.")
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self.text(name, "1" if default else "0").strip().lower()
        if value in TRUE_WORDS:
            return True
        if value in FALSE_WORDS:
            return False
        raise ConfigurationError(f"{name} must be 1 or 0; it is {value!r}.")

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
        value = self.text(name, str(default)).strip()
        if not value.lstrip("-").isdigit() or not minimum <= int(value) <= maximum:
            raise ConfigurationError(f"{name} must be a whole number from {minimum} to {maximum}; it is {value!r}.")
        return int(value)

    def words(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        """A list written with commas; white space around the words is dropped."""
        value = self.text(name, ",".join(default))
        return [word.strip() for word in value.split(",") if word.strip()]

    def path(self, name: str, default: Path) -> Path:
        return Path(self.text(name, str(default))).expanduser().resolve()

    def url(self, name: str, default: str | None, *, schemes: tuple[str, ...]) -> str:
        """A URL without a trailing slash, whose scheme is one of `schemes`."""
        value = self.text(name, default).strip().rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in schemes:
            raise ConfigurationError(
                f"{name} must start with {' or '.join(f'{s}://' for s in schemes)}; it is {value!r}."
            )
        if not parts.netloc and parts.scheme not in {"memory", "unix"}:
            raise ConfigurationError(f"{name} must name a host; it is {value!r}.")
        return value

    def database(self, name: str, default: str) -> DatabaseUrl:
        value = self.text(name, default).strip()
        parts = urlsplit(value)
        try:
            port = str(parts.port or "")
        except ValueError as error:
            raise ConfigurationError(f"{name} has a port that is no number.") from error
        url = DatabaseUrl(
            scheme=parts.scheme,
            name=unquote(parts.path.removeprefix("/")),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            host=unquote(parts.hostname or ""),
            port=port,
            options=dict(parse_qsl(parts.query)),
        )
        if url.scheme not in {"sqlite", "postgres", "postgresql"}:
            raise ConfigurationError(f"{name} must start with sqlite:/// or postgres://.")
        if not url.name:
            raise ConfigurationError(f"{name} must name a database.")
        return url


def _content(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"{name} names {path}, which cannot be read: {error.strerror}.") from error
