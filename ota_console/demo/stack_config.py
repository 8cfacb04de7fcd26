"""What one embedded stack is made of: its folder, ports, secrets and the environment that all its programs share.

Values only; nothing here starts a process.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from devices_app.protocol.credentials import SERVER_USER
from ota_console.core.ids import new_secret
from ota_console.demo.processes import free_port

PARTS: Final = (
    "redis",
    "broker",
    "web",
    "downloads",
    "gateway",
    "worker",
    "dispatch",
    "relay",
    "beat",
    "simulator",
)
"""In the order of their start; they are stopped the other way round."""

HOST: Final = "127.0.0.1"
SECRETS_FILE: Final = "secrets.json"
ENVIRONMENT_FILE: Final = "environment.json"
TLS_DISTANCE: Final = 7000
"""From the port of plain MQTT to that of MQTT over TLS, as from 1883 to 8883."""
HIGHEST_PORT: Final = 65535
PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once and kept with the data, so that sessions, links and passwords outlive a restart."""

    secret_key: str
    broker_secret: str
    redis_password: str
    operator_password: str
    admin_password: str


@dataclass(frozen=True, slots=True)
class Ports:
    web: int
    downloads: int
    mqtt: int
    mqtt_tls: int
    redis: int

    @classmethod
    def around(cls, web: int, mqtt: int) -> "Ports":
        """The ports of a demo whose console and broker listen on these two."""
        tls = mqtt + TLS_DISTANCE if mqtt + TLS_DISTANCE <= HIGHEST_PORT else mqtt + 1
        return cls(web=web, downloads=web + 1, mqtt=mqtt, mqtt_tls=tls, redis=free_port())

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody listens on, for tests."""
        return cls(*(free_port() for _ in range(5)))


@dataclass(frozen=True, slots=True)
class StackConfig:
    """`…_url` None: the embedded part serves (SQLite, Valkey, our broker); otherwise the server at that address."""

    data: Path
    ports: Ports
    secrets: Secrets
    devices: int = 200
    parts: tuple[str, ...] = PARTS
    database_url: str | None = None
    redis_url: str | None = None
    mqtt_url: str | None = None
    extra_environment: Mapping[str, str] = field(default_factory=dict)
    simulator_arguments: tuple[str, ...] = ()

    @property
    def public_url(self) -> str:
        return f"http://{HOST}:{self.ports.web}"

    @property
    def own_parts(self) -> tuple[str, ...]:
        """The parts to start: not those that a given server stands in for, and no simulator of nothing."""
        replaced = {"redis"} if self.redis_url else set()
        replaced |= {"broker"} if self.mqtt_url else set()
        replaced |= set() if self.devices else {"simulator"}
        return tuple(part for part in PARTS if part in self.parts and part not in replaced)

    def environment(self) -> dict[str, str]:
        """Everything that the programs of this stack read, on top of what the machine's own programs need."""
        secrets, ports = self.secrets, self.ports
        ours = {
            "DJANGO_SETTINGS_MODULE": "ota_console.settings",
            "ENVIRONMENT": "demo",
            "SECRET_KEY": secrets.secret_key,
            "BROKER_SECRET": secrets.broker_secret,
            "PUBLIC_URL": self.public_url,
            "DOWNLOAD_URL": f"http://{HOST}:{ports.downloads}",
            "DATABASE_URL": self.database_url or f"sqlite:///{self.data / 'ota.sqlite3'}",
            "REDIS_URL": self.redis_url or f"redis://:{secrets.redis_password}@{HOST}:{ports.redis}/0",
            "MQTT_URL": self.mqtt_url or f"mqtt://{SERVER_USER}:{quote(secrets.broker_secret)}@{HOST}:{ports.mqtt}",
            "MQTT_PORT": str(ports.mqtt),
            "MQTT_TLS_PORT": str(ports.mqtt_tls),
            "BROKER_HOOK_URL": self.public_url,
            "DATA_DIR": str(self.data),
            "STATIC_ROOT": str(self.data / "static"),
            "CELERY_SKIP_CHECKS": "1",  # `make check` runs them; each costs a second of every worker's start
            "LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser",  # a demo in a container is
        }
        return {**machine_environment(), **ours, **self.extra_environment}


def machine_environment() -> dict[str, str]:
    """The caller's environment without what would configure another server of ours."""
    kept = (
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "VIRTUAL_ENV",
        "PYTHONPATH",
        "LD_LIBRARY_PATH",
        "LOG_LEVEL",
    )
    return {name: value for name, value in os.environ.items() if name in kept}


def load_secrets(data: Path, *, password: str = "") -> Secrets:
    """The secrets of this folder, made at its first start; `password` replaces both people's passwords."""
    file = data / SECRETS_FILE
    if file.is_file():
        values = json.loads(file.read_text(encoding="utf-8"))
    else:
        values = {name: new_secret(50 if name == "secret_key" else 24) for name in Secrets.__dataclass_fields__}
        values |= {name: new_secret(16) for name in ("operator_password", "admin_password")}
    if password:
        values |= {"operator_password": password, "admin_password": password}
    secrets = Secrets(**values)
    write_private(file, asdict(secrets))
    return secrets


def write_private(file: Path, content: Mapping[str, str]) -> None:
    """JSON that only its owner can read, from its first byte on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w", encoding="utf-8") as stream:
        json.dump(dict(content), stream, indent=1)
    new.replace(file)
