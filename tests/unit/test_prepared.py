import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ota_console.demo.prepared import is_prepared, mark_prepared
from ota_console.demo.stack_config import Ports, StackConfig, load_secrets


@pytest.fixture
def config(tmp_path: Path) -> StackConfig:
    """Data as a first start leaves them."""
    (tmp_path / "static").mkdir()
    with sqlite3.connect(tmp_path / "ota.sqlite3") as connection:
        connection.execute("CREATE TABLE django_migrations (app, name)")
        connection.execute("CREATE TABLE accounts_user (username, password)")
        connection.execute("INSERT INTO accounts_user VALUES ('operator', 'hash')")
    connection.close()
    ports = Ports(web=1, downloads=2, mqtt=3, mqtt_tls=4, redis=5)
    made = StackConfig(data=tmp_path, ports=ports, secrets=load_secrets(tmp_path), devices=5)
    mark_prepared(made)
    return made


def test_data_that_nobody_touched_are_prepared(config: StackConfig) -> None:
    """The second start skips the work."""
    assert is_prepared(config)


def test_another_fleet_is_prepared_again(config: StackConfig) -> None:
    """The missing devices are made."""
    assert not is_prepared(replace(config, devices=6))


def test_a_changed_account_is_prepared_again(config: StackConfig) -> None:
    """The password that is printed must be the one that works."""
    connection = sqlite3.connect(config.data / "ota.sqlite3")
    connection.execute("UPDATE accounts_user SET password = 'another'")
    connection.commit()
    connection.close()
    assert not is_prepared(config)


def test_a_deleted_database_is_prepared_again(config: StackConfig) -> None:
    """The stamp alone proves nothing."""
    (config.data / "ota.sqlite3").unlink()
    assert not is_prepared(config)


def test_a_broken_database_is_left_to_the_preparation(config: StackConfig) -> None:
    """Its error says more than a stamp could."""
    (config.data / "ota.sqlite3").write_bytes(b"no database at all")
    assert not is_prepared(config)


def test_a_given_database_is_always_prepared(config: StackConfig) -> None:
    """It may be new although the folder is not."""
    given = replace(config, database_url="postgres://ota@127.0.0.1/ota")
    mark_prepared(given)
    assert not is_prepared(given)
