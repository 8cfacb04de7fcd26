from pathlib import Path

import pytest

from ota_console.env import ConfigurationError, Environment


def test_a_missing_value_without_a_default_is_named() -> None:
    """The sentence tells which variable to set."""
    with pytest.raises(ConfigurationError, match="Set SECRET_KEY"):
        Environment({}).text("SECRET_KEY")


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    """NAME_FILE is read, without the newline that editors add."""
    file = tmp_path / "key"
    file.write_text("hidden\n")
    assert Environment({"SECRET_KEY_FILE": str(file)}).text("SECRET_KEY", "default") == "hidden"


def test_a_value_and_a_file_together_are_refused(tmp_path: Path) -> None:
    """Nobody has to guess which of the two holds."""
    with pytest.raises(ConfigurationError, match="either SECRET_KEY or SECRET_KEY_FILE"):
        Environment({"SECRET_KEY": "a", "SECRET_KEY_FILE": str(tmp_path)}).text("SECRET_KEY")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A misspelt path stops the start; it is not taken for an empty secret."""
    with pytest.raises(ConfigurationError, match=r"SECRET_KEY_FILE names .*missing"):
        Environment({"SECRET_KEY_FILE": str(tmp_path / "missing")}).text("SECRET_KEY")


@pytest.mark.parametrize(("word", "meaning"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("", False)])
def test_booleans_have_several_words(word: str, meaning: bool) -> None:  # noqa: FBT001 the parameter of a table
    """Operators write them as they are used to."""
    assert Environment({"DEBUG": word}).boolean("DEBUG", default=not meaning) is meaning


def test_a_misspelt_boolean_is_refused() -> None:
    """A typo must not switch something off silently."""
    with pytest.raises(ConfigurationError, match="DEBUG must be 1 or 0"):
        Environment({"DEBUG": "ture"}).boolean("DEBUG", default=False)


@pytest.mark.parametrize("value", ["ten", "-1", "65536", "1.5", ""])
def test_a_number_outside_its_range_is_refused(value: str) -> None:
    """The sentence tells the range."""
    with pytest.raises(ConfigurationError, match="from 0 to 65535"):
        Environment({"PORT": value}).integer("PORT", 80, maximum=65535)


def test_a_list_is_written_with_commas() -> None:
    """White space and empty words are dropped."""
    assert Environment({"ALLOWED_HOSTS": "a.example, b.example,,"}).words("ALLOWED_HOSTS") == ["a.example", "b.example"]


@pytest.mark.parametrize("value", ["ftp://host", "host:8000", "https://"])
def test_a_url_of_another_kind_is_refused(value: str) -> None:
    """It needs one of the schemes, and a host."""
    with pytest.raises(ConfigurationError, match="PUBLIC_URL must"):
        Environment({"PUBLIC_URL": value}).url("PUBLIC_URL", None, schemes=("http", "https"))


def test_a_url_loses_its_trailing_slash() -> None:
    """Paths are put behind it."""
    url = Environment({"PUBLIC_URL": "https://ota.example/"}).url("PUBLIC_URL", None, schemes=("https",))
    assert url == "https://ota.example"


def test_a_word_outside_the_choice_is_refused() -> None:
    """The sentence lists the choice."""
    with pytest.raises(ConfigurationError, match="must be one of text, json"):
        Environment({"LOG_FORMAT": "xml"}).choice("LOG_FORMAT", ("text", "json"), "text")


def test_a_database_url_is_taken_apart() -> None:
    """Passwords may hold any character in its percent form; options follow the question mark."""
    url = Environment({"D": "postgres://ota:p%40ss@db:5433/fleet?sslmode=require"}).database("D", "")
    assert (url.user, url.password, url.host, url.port, url.name) == ("ota", "p@ss", "db", "5433", "fleet")
    assert url.options == {"sslmode": "require"}


@pytest.mark.parametrize("value", ["mysql://host/name", "postgres://host", "postgres://host:port/name"])
def test_a_database_url_that_cannot_work_is_refused(value: str) -> None:
    """Another database, no name, or a port that is no number."""
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        Environment({"DATABASE_URL": value}).database("DATABASE_URL", "")


def test_a_path_becomes_absolute() -> None:
    """The folder does not depend on where a process was started later."""
    assert Environment({"DATA_DIR": "data"}).path("DATA_DIR", Path("/")).is_absolute()
