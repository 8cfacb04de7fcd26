"""One shape for all log lines: a constant event name plus fields, as text for people or as JSON for programs."""

import logging
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any, Final

import structlog

from ota_console.core import clock

SECONDS_OF_SILENCE: Final = 10.0
"""After the sentence about an outage; it is said again while the outage lasts."""
OUTAGE_WORDS: Final = ("Connection to broker lost", "Cannot connect to")


class RedisAway(logging.Filter):
    """One sentence in each process for an outage of Redis, where Celery writes a traceback for each message."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at = -SECONDS_OF_SILENCE

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; one about an outage becomes the sentence."""
        if not _tells_an_outage(record):
            return True
        moment = clock.monotonic()
        is_new = moment - self._said_at >= SECONDS_OF_SILENCE
        if is_new:
            self._said_at = moment
            record.msg = "Redis does not answer at REDIS_URL. It is tried again until it does; nothing is lost."
            record.args, record.exc_info, record.exc_text = (), None, None
        return is_new


def _tells_an_outage(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        if isinstance(error, OSError):
            return True
        error = error.__cause__ or error.__context__
    return any(words in record.getMessage() for words in OUTAGE_WORDS)


def one_line(logger: object, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Libraries write paragraphs; a line of the log is one event."""
    event["event"] = " ".join(str(event.get("event", "")).split())
    return event


SHARED: Final[list[Any]] = [
    one_line,
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]
"""What every line goes through, whichever library it comes from."""


def configuration(level: str, log_format: str) -> dict[str, Any]:
    """The value of Django's LOGGING; standard and structlog loggers come out alike on stderr."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "events": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(log_format)],
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "events"}},
        "root": {"handlers": ["stderr"], "level": level},
        "filters": {"probes": {"()": lambda: _is_no_probe}, "redis_away": {"()": RedisAway}},
        "loggers": {
            "django.request": {"filters": ["probes"]},
            "django.server": {"handlers": [], "propagate": True},
            "httpx": {"level": "WARNING"},
            "celery": {"level": "WARNING"},  # a line for every task of every second would hide what matters
            "celery.beat": {"filters": ["redis_away"]},
            "celery.worker.consumer.consumer": {"filters": ["redis_away"]},
            "asyncio": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
        },
    }


def _renderer(log_format: str) -> Any:
    if log_format == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)


def _is_no_probe(record: logging.LogRecord) -> bool:
    """A load balancer asks /readyz every few seconds; its 503 is an answer, not an event."""
    return getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE
