"""What a batch's pages say beyond states and counts: conflicts, ends, late reports, and what may start again."""

from datetime import timedelta

import pytest

from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.models import Batch
from ota_console.core.clock import now
from tests.factories import make_batch, make_device, make_package, make_product, make_task
from tests.pages import Console


@pytest.fixture
def batch() -> Batch:
    return make_batch(make_package(make_product(), version="2.0"))


def devices(batch: Batch, query: str = "") -> str:
    return f"/ota/batches/{batch.public_id}/devices/{query}"


def test_a_conflict_names_the_batch_that_was_in_the_way(console: Console, batch: Batch) -> None:
    """rules.md §2: with a link to the blocker, on exactly that device."""
    device = make_device(batch.product)
    older = make_task(make_batch(make_package(batch.product)), device)
    make_task(batch, device, TaskStatus.FAILED, reason=Reason.CONFLICT, blocker=older)
    page = console.get(devices(batch))
    assert f'href="{devices(older.batch, f"?device={device.name}")}"' in page.html
    assert "Conflict, the other batch" in page.text


def test_what_devices_reported_after_their_end_is_counted(console: Console, batch: Batch) -> None:
    """rules.md §2, §7: on the batch and on the package, and nothing where there is none."""
    make_task(batch, make_device(batch.product), TaskStatus.FAILED, late_success_at=now())
    for page in (console.get(devices(batch)), console.get(f"/ota/packages/{batch.package.public_id}/devices/")):
        assert (page.count("LATE_SUCCESS"), page.count("ROLLED_BACK")) == ("1", "0")
        assert 'data-zeroes data-zero><span class="fig" data-count="ROLLED_BACK"' in page.html


def test_nothing_starts_again_in_a_canceled_batch_nor_after_its_finish_time(console: Console, batch: Batch) -> None:
    """The batch says so, since live rows know only their own state (rules.md §3)."""
    assert "data-reupgradable" in console.get(devices(batch)).html
    Batch.objects.filter(pk=batch.pk).update(finish_at=now() - timedelta(minutes=1))
    assert "data-reupgradable" not in console.get(devices(batch)).html
    Batch.objects.filter(pk=batch.pk).update(finish_at=None, status=BatchStatus.CANCELED)
    assert "data-reupgradable" not in console.get(devices(batch)).html


def test_an_end_that_was_not_ordinary_is_explained(console: Console, batch: Batch) -> None:
    """rules.md §3: a launch whose matches were gone is Completed with that reason."""
    ended = {"status": BatchStatus.COMPLETED, "ended_at": now(), "end_reason": "nothing_matched"}
    Batch.objects.filter(pk=batch.pk).update(**ended)
    assert "no device matched any more" in console.get(f"/ota/batches/{batch.public_id}/info/").text
