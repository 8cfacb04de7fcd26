"""What Celery says of an outage is one sentence, whatever it writes."""

import logging
import sys

import pytest

from ota_console.core import clock
from ota_console.core.logs import SECONDS_OF_SILENCE, RedisAway, one_line


def record(message: str, error: Exception | None = None) -> logging.LogRecord:
    """A line as Celery writes it, with the error that it caught."""
    found = None
    if error is not None:
        try:
            raise error
        except type(error):
            found = sys.exc_info()
    return logging.LogRecord("celery.beat", logging.ERROR, __file__, 1, message, ("here",), found)


def refused() -> Exception:
    """As beat sees it: the cause stands behind two other errors."""
    error = RuntimeError("Couldn't apply scheduled task")
    error.__cause__ = RuntimeError("Error 111")
    error.__cause__.__context__ = ConnectionRefusedError()
    return error


def test_an_outage_is_one_sentence_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is said again after a while."""
    moments = iter([0.0, 1.0, SECONDS_OF_SILENCE])
    monkeypatch.setattr(clock, "monotonic", lambda: next(moments))
    away = RedisAway()
    lines = [
        record("Message Error: %s", refused()),
        record("Cannot connect to %s", None),
        record("Error: %s", refused()),
    ]
    assert [away.filter(line) for line in lines] == [True, False, True]
    assert lines[0].getMessage().startswith("Redis does not answer at REDIS_URL.")
    assert lines[0].exc_info is None


def test_any_other_error_is_told_as_it_is() -> None:
    """With its traceback."""
    line = record("Message Error: %s", ValueError())
    assert RedisAway().filter(line)
    assert (line.getMessage(), line.exc_info is None) == ("Message Error: here", False)


def test_a_paragraph_becomes_a_line() -> None:
    """So that a log has a line for each event."""
    assert one_line(None, "", {"event": "Cannot connect.\nTrying again.\n"})["event"] == "Cannot connect. Trying again."
