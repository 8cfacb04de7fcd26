"""The embedded MQTT broker as a process: `python -m ota_console.demo.broker`, configured by the environment.

MQTT_PORT (1883), MQTT_BIND (127.0.0.1), MQTT_TLS_PORT (none), BROKER_HOOK_URL (the console, asked for each log-in),
BROKER_SECRET, DATA_DIR (keeps the certificate and who was connected). Ends on SIGTERM and Ctrl-C. Knows no database and
no Django.
"""

import asyncio
import logging.config
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from amqtt.contexts import BrokerConfig, ListenerConfig
from amqtt.errors import BrokerError

from ota_console.core import clock
from ota_console.core.logs import configuration
from ota_console.demo.broker_journal import SessionJournal
from ota_console.demo.broker_server import EmbeddedBroker
from ota_console.demo.broker_tls import ensure_certificate
from ota_console.env import ConfigurationError, Environment

ACCESS_PLUGIN: Final = "ota_console.demo.broker_access.AccessPlugin"
MAX_PORT: Final = 65_535
log = structlog.get_logger("broker")


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """`tls_port` 0: no TLS."""

    port: int
    bind: str
    tls_port: int
    hook_url: str
    secret: str
    data_dir: Path


def read_settings(env: Environment) -> BrokerSettings:
    """Raises ConfigurationError with a sentence that names the variable."""
    return BrokerSettings(
        port=env.integer("MQTT_PORT", 1883, minimum=1, maximum=MAX_PORT),
        bind=env.text("MQTT_BIND", "127.0.0.1"),
        tls_port=env.integer("MQTT_TLS_PORT", 0, minimum=0, maximum=MAX_PORT),
        hook_url=env.url("BROKER_HOOK_URL", "http://127.0.0.1:8000", schemes=("http", "https")),
        secret=env.text("BROKER_SECRET"),
        data_dir=env.path("DATA_DIR", Path(".demo")),
    )


def broker_config(settings: BrokerSettings) -> BrokerConfig:
    """What amqtt is told: listeners and the log-in plugin. Makes the certificate if TLS is on."""
    listeners = {"default": ListenerConfig(bind=f"{settings.bind}:{settings.port}")}
    if settings.tls_port:
        made = ensure_certificate(settings.data_dir / "tls", clock.now())
        bind = f"{settings.bind}:{settings.tls_port}"
        listeners["tls"] = ListenerConfig(bind=bind, ssl=True, certfile=made.ca, keyfile=made.key)
    plugins: dict[str, Any] = {ACCESS_PLUGIN: {"hook_url": settings.hook_url, "secret": settings.secret}}
    return BrokerConfig(listeners=listeners, plugins=plugins)


async def run(settings: BrokerSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises BrokerError if a port is taken."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    broker = EmbeddedBroker(broker_config(settings), SessionJournal(settings.data_dir))
    await broker.start()
    log.info("broker_started", port=settings.port, tls_port=settings.tls_port or None)
    await stopping.wait()
    await broker.shutdown()
    log.info("broker_stopped")


def main() -> int:
    """The exit code: 0 after a signal, 1 if it could not start."""
    env = Environment()
    logging.config.dictConfig(configuration(env.text("LOG_LEVEL", "INFO"), env.text("LOG_FORMAT", "text")))
    for noisy in ("amqtt", "transitions", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    try:
        asyncio.run(run(read_settings(env)))
    except (BrokerError, ConfigurationError, OSError) as error:
        sys.stderr.write(f"The MQTT broker could not start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
