"""How each part of the stack is started and how one knows that it serves. Parts know each other by address alone."""

import http.client
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from signal import SIGQUIT
from typing import Final

from ota_console.demo.processes import Program, is_free
from ota_console.demo.redis_server import redis_program
from ota_console.demo.stack_config import HOST, StackConfig

PROJECT: Final = Path(__file__).resolve().parents[2]
PREPARE_SECONDS: Final = 300
CELERY: Final = ("-m", "celery", "--quiet", "-A", "ota_console.celery")
DOWNLOAD_THREADS: Final = 32
"""Devices that download at once from the built-in server; a proxy in front serves more."""


def make_program(part: str, config: StackConfig) -> Program:
    """The program of one of PARTS."""
    if part == "redis":
        return redis_program(folder=config.data, port=config.ports.redis, password=config.secrets.redis_password)
    makers: dict[str, Callable[[StackConfig], Program]] = {
        "broker": _broker,
        "web": _web,
        "downloads": _downloads,
        "gateway": partial(_command, name="gateway", arguments=("gateway",)),
        "worker": partial(_worker, name="worker", queue="default"),
        "dispatch": partial(_worker, name="dispatch", queue="dispatch"),
        "relay": partial(_worker, name="relay", queue="relay"),
        "beat": _beat,
        "simulator": _simulator,
    }
    return makers[part](config)


def preparation(config: StackConfig) -> Program:
    """Runs to its end: migrates, collects static files, makes the two accounts, seeds."""
    arguments = ["-m", "django", "prepare_demo", "--devices", str(config.devices)]
    environment = {
        **config.environment(),
        "OPERATOR_PASSWORD": config.secrets.operator_password,
        "ADMIN_PASSWORD": config.secrets.admin_password,
    }
    return Program(
        name="prepare",
        command=[sys.executable, *arguments],
        environment=environment,
        folder=PROJECT,
        ready_seconds=PREPARE_SECONDS,
    )


def serves(port: int, path: str) -> bool:
    """Whether a GET of `path` is answered with 200."""
    return _status(port, path) == http.client.OK


def answers(port: int) -> bool:
    """Whether somebody there speaks HTTP, whatever the answer."""
    return _status(port, "/") is not None


def _status(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _python(config: StackConfig, *, name: str, arguments: tuple[str, ...]) -> Program:
    return Program(name=name, command=[sys.executable, *arguments], environment=config.environment(), folder=PROJECT)


def _command(config: StackConfig, *, name: str, arguments: tuple[str, ...]) -> Program:
    return _python(config, name=name, arguments=("-m", "django", *arguments))


def _broker(config: StackConfig) -> Program:
    program = _python(config, name="broker", arguments=("-m", "ota_console.demo.broker"))
    return replace(program, is_ready=lambda: not is_free(config.ports.mqtt))


def _web(config: StackConfig) -> Program:
    """h11 keeps the spelling of response headers; a live page's socket must not hold up the stop."""
    server = ("-m", "uvicorn", "--http", "h11", "--ws", "websockets-sansio", "--lifespan", "off", "--host", HOST)
    quiet = ("--log-level", "warning", "--no-access-log", "--timeout-graceful-shutdown", "2")
    arguments = (*server, *quiet, "--port", str(config.ports.web), "ota_console.asgi:application")
    return replace(
        _python(config, name="web", arguments=arguments), is_ready=partial(serves, config.ports.web, "/healthz")
    )


def _downloads(config: StackConfig) -> Program:
    server = ("-m", "gunicorn", "--worker-class", "gthread", "--threads", str(DOWNLOAD_THREADS), "--workers", "1")
    quiet = ("--log-level", "warning", "--graceful-timeout", "2", "--bind", f"{HOST}:{config.ports.downloads}")
    program = _python(config, name="downloads", arguments=(*server, *quiet, "ota_console.wsgi:application"))
    return replace(program, is_ready=partial(answers, config.ports.downloads))


def _worker(config: StackConfig, *, name: str, queue: str) -> Program:
    """Concurrency 1: SQLite has one writer, and each long-running loop has a queue of its own."""
    options = ("--queues", queue, "--concurrency", "1", "--hostname", f"{name}@%h", "--loglevel", "WARNING")
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    program = _python(config, name=name, arguments=(*CELERY, "worker", *options, *alone))
    return replace(program, stop_signal=SIGQUIT)


def _beat(config: StackConfig) -> Program:
    return _python(config, name="beat", arguments=(*CELERY, "beat", "--pidfile", "", "--loglevel", "WARNING"))


def _simulator(config: StackConfig) -> Program:
    arguments = ("simulate", "--devices", str(config.devices), *config.simulator_arguments)
    return _command(config, name="simulator", arguments=arguments)
