"""One shape for all log lines: a constant event name plus fields, as text for people or as JSON for programs."""

import logging
from http import HTTPStatus
from typing import Any, Final

import structlog

SHARED: Final[list[Any]] = [
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
        "filters": {"probes": {"()": lambda: _is_no_probe}},
        "loggers": {
            "django.request": {"filters": ["probes"]},
            "django.server": {"handlers": [], "propagate": True},
            "httpx": {"level": "WARNING"},
            "celery": {"level": "WARNING"},  # a line for every task of every second would hide what matters
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
