"""Fixtures for all tests: real servers on free ports, a clock that stands still, no network beyond loopback.

tests/unit has no database and no sockets; tests/db and above may use the database, and servers of their own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connections
from hypothesis import settings as hypothesis_settings

from ota_console.core.clock import FakeClock
from tests import servers
from tests.environment import FOLDER, TEST_DATABASE

TESTS = Path(__file__).parent
STACK_FOLDERS = {"browser", "clients", "faults", "flows"}
"""They start many processes each, so one at a time."""
hypothesis_settings.register_profile("suite", deadline=None, derandomize=True)
hypothesis_settings.load_profile("suite")  # the same examples each time, however busy the machine is
LOOPBACK = ["127.0.0.1", "::1", "localhost"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to the other database; keep unit tests off the network and all tests on this machine."""
    left_out = [item for item in items if not _runs_here(item)]
    items[:] = [item for item in items if _runs_here(item)]
    config.hook.pytest_deselected(items=left_out)
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        item.add_marker(pytest.mark.disable_socket if folder == "unit" else pytest.mark.allow_hosts(LOOPBACK))
        if folder in STACK_FOLDERS:
            item.add_marker(pytest.mark.xdist_group("stack"))


def _runs_here(item: pytest.Item) -> bool:
    """SQLite runs everything but PostgreSQL's own tests; PostgreSQL runs those, and tests/db once more."""
    if TEST_DATABASE == "postgresql":
        is_of_database = TESTS / "db" in item.path.parents and not item.get_closest_marker("sqlite")
        return is_of_database or item.get_closest_marker("postgresql") is not None
    return item.get_closest_marker("postgresql") is None


@pytest.fixture
def clock() -> FakeClock:
    """Noon of an ordinary day; a test moves it."""
    return FakeClock(datetime(2026, 3, 4, 12, 0, tzinfo=UTC))


@pytest.fixture
def now(clock: FakeClock) -> datetime:
    return clock()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[servers.Server]:
    with servers.postgresql(FOLDER / "postgresql-server") as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[servers.Server]:
    with servers.valkey(FOLDER / "valkey-server") as server:
        yield server


@pytest.fixture(scope="session")
def mosquitto_server() -> Iterator[servers.Server]:
    with servers.mosquitto(FOLDER / "mosquitto-server") as server:
        yield server


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest) -> None:
    """pytest-django's hook: Django's test database stands on our own PostgreSQL where TEST_DATABASE asks for it.

    On SQLite it is a file: threads of one in-memory database would lock each other's tables.
    """
    if TEST_DATABASE != "postgresql":
        connections["default"].settings_dict["TEST"]["NAME"] = str(FOLDER / "test.sqlite3")
        return
    server: servers.Server = request.getfixturevalue("postgresql_server")
    django_settings.DATABASES["default"]["PORT"] = str(server.port)
    connections["default"].settings_dict["PORT"] = str(server.port)


@pytest.fixture
def is_postgresql() -> bool:
    return TEST_DATABASE == "postgresql"
