import io

from ota_console.demo.log import Log, in_words


def test_an_event_of_ours_becomes_words() -> None:
    """What repeats in each line is left out."""
    line = '{"event": "broker_started", "port": 1883, "level": "info", "logger": "broker", "timestamp": "2026-01-01"}'
    assert in_words(line) == "broker_started port=1883"


def test_a_warning_says_so() -> None:
    """And an error does."""
    assert in_words('{"event": "broker_away", "level": "warning"}') == "WARNING broker_away"


def test_the_lines_of_an_exception_follow_the_event() -> None:
    """Nobody has to look for them elsewhere."""
    assert in_words('{"event": "failed", "level": "error", "exception": "Traceback"}') == "ERROR failed\nTraceback"


def test_other_lines_stay_as_they_are() -> None:
    """Programs that are not ours write as they like, even half a JSON."""
    assert [in_words(line) for line in ("ready", '{"half', "")] == ["ready", '{"half', ""]


def test_what_a_worker_says_at_every_stop_is_left_out() -> None:
    """The log stays tidy to its end."""
    stream = io.StringIO()
    Log(stream)("worker", "worker: Cold shutdown (MainProcess)")
    assert stream.getvalue() == ""


def test_each_line_tells_time_and_part() -> None:
    """In columns."""
    stream = io.StringIO()
    Log(stream)("web", "is up")
    assert stream.getvalue()[8:] == "  web        is up\n"
