from datetime import datetime, timedelta

from ota_console.core.ids import ALPHABET, LENGTH, new_public_id, new_secret


def test_a_public_id_has_the_vendors_form(now: datetime) -> None:
    """26 base-62 characters fit wherever the vendor's own ids do."""
    made = new_public_id(now)
    assert len(made) == LENGTH
    assert set(made) <= set(ALPHABET)


def test_public_ids_sort_by_the_time_of_their_making(now: datetime) -> None:
    """A millisecond later sorts behind, whatever the random part."""
    moments = [now + timedelta(milliseconds=number) for number in range(200)]
    ids = [new_public_id(moment) for moment in moments]
    assert ids == sorted(ids)


def test_public_ids_of_one_moment_differ(now: datetime) -> None:
    """The rest of the id cannot be guessed."""
    assert len({new_public_id(now) for _ in range(1000)}) == 1000


def test_a_secret_has_the_length_asked_for() -> None:
    """Devices and people get secrets of the same alphabet."""
    assert len(new_secret(20)) == 20
