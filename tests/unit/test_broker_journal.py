"""What the embedded broker remembers of sessions across its own death."""

from pathlib import Path

from ota_console.demo.broker_journal import FILE, SessionJournal


def test_the_last_session_of_each_device_is_known_at_the_next_start(tmp_path: Path) -> None:
    """Without a goodbye: a kill leaves no time for one."""
    first = SessionJournal(tmp_path)
    assert first.ended == {}
    for device, session in (("a", "s1"), ("b", "s2"), ("a", "s3")):
        first.opened(("pk", device), session)
    second = SessionJournal(tmp_path)
    assert second.ended == {("pk", "a"): "s3", ("pk", "b"): "s2"}
    first.close()
    second.close()


def test_it_shrinks_at_each_start_and_bears_a_line_that_was_cut_off(tmp_path: Path) -> None:
    """One line per device is left."""
    journal = SessionJournal(tmp_path)
    for number in range(50):
        journal.opened(("pk", "a"), f"s{number}")
    journal.close()
    file = tmp_path / FILE
    file.write_text(file.read_text() + '["pk", "b"')
    again = SessionJournal(tmp_path)
    again.close()
    assert again.ended == {("pk", "a"): "s49"}
    assert len(file.read_text().splitlines()) == 1
