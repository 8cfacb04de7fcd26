"""Editing a running batch, pausing and resuming it."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from batches_app.commands.edit import BatchEdit, edit_batch
from batches_app.commands.pause import pause_batch, resume_batch
from batches_app.domain.pacing import Rate
from batches_app.domain.states import BatchStatus
from batches_app.models import Batch, BatchCounts, BatchTag
from devices_app.models import DeviceGroup, Product
from ota_console.audit.models import AuditEntry
from ota_console.core.errors import Conflict, Invalid, NotFound
from ota_console.core.ids import new_public_id
from ota_console.outbox.models import OutboxMessage
from packages_app.models import UpdatePackage
from tests.campaign import DYNAMIC, OPERATOR
from tests.factories import NOW, make_batch, make_package, make_product

pytestmark = pytest.mark.django_db
VARIABLE = {
    "rate_kind": Batch.RateKind.VARIABLE,
    "rate_per_minute": 1_000,
    "rate_base_per_minute": 100,
    "rate_factor": Decimal(2),
    "rate_notified_step": 50,
}


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


def edited(batch: Batch, now: datetime, edit: BatchEdit) -> Batch:
    edit_batch(batch=batch.public_id, edit=edit, actor=OPERATOR, now=now)
    batch.refresh_from_db()
    return batch


def refused(batch: Batch, now: datetime, edit: BatchEdit) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as error:
        edit_batch(batch=batch.public_id, edit=edit, actor=OPERATOR, now=now)
    return error.value.errors


def test_a_constant_rate_gets_another_value(package: UpdatePackage, now: datetime) -> None:
    """The seed: the values can be edited while the batch is Upgrading."""
    batch = edited(make_batch(package, rate_per_minute=60), now, BatchEdit(rate=Rate(600)))
    assert (batch.rate_per_minute, batch.updated_at) == (600, now)
    assert BatchCounts.objects.get(batch=batch).revision == 1
    assert OutboxMessage.objects.get().events[0]["kind"] == "batch.changed"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.details["before"]) == ("batch.edit", {"rate_per_minute": 60})


def test_a_variable_rate_gets_other_values(package: UpdatePackage, now: datetime) -> None:
    """All of the curve."""
    batch = edited(make_batch(package, **VARIABLE), now, BatchEdit(rate=Rate(2_000, 200, 1.5, None, 20)))
    curve = (batch.rate_per_minute, batch.rate_base_per_minute, batch.rate_factor, batch.rate_succeeded_step)
    assert curve == (2_000, 200, Decimal("1.5"), 20)


@pytest.mark.parametrize(("values", "rate"), [({}, Rate(1_000, 100, 2.0, 50)), (VARIABLE, Rate(60))])
def test_the_type_of_the_rate_cannot_change(
    package: UpdatePackage, now: datetime, values: dict[str, object], rate: Rate
) -> None:
    """The seed."""
    assert refused(make_batch(package, **values), now, BatchEdit(rate=rate)) == {
        "rate_kind": ["The type of the push rate, constant or variable, cannot be changed. Change its values."]
    }


def test_a_faster_rate_does_not_wait_for_a_slow_slot(package: UpdatePackage, now: datetime) -> None:
    """rules.md §4: edits take effect within 5 s."""
    slow = make_batch(package, rate_per_minute=1, next_slot_at=now + timedelta(seconds=59))
    batch = edited(slow, now, BatchEdit(rate=Rate(60)))
    assert batch.next_slot_at is not None
    assert batch.next_slot_at <= now + timedelta(seconds=2)


def test_tags_are_replaced_as_a_whole(package: UpdatePackage, now: datetime) -> None:
    """Vendor reference §2.4: omitted ones are cleared."""
    batch = make_batch(package)
    edited(batch, now, BatchEdit(tags=[("wave", "1"), ("team", "ota")]))
    edited(batch, now, BatchEdit(tags=[("wave", "2")]))
    assert list(BatchTag.objects.filter(batch=batch).values_list("key", "value")) == [("wave", "2")]


def test_what_is_not_named_stays(package: UpdatePackage, now: datetime) -> None:
    """An edit of the rate keeps the tags."""
    batch = edited(make_batch(package), now, BatchEdit(tags=[("wave", "1")]))
    edited(batch, now, BatchEdit(rate=Rate(5)))
    assert batch.tags.count() == 1


def test_an_edit_that_changes_nothing_leaves_no_trace(package: UpdatePackage, now: datetime) -> None:
    """Neither in the audit nor on the batch."""
    batch = make_batch(package, rate_per_minute=60)
    found = edit_batch(batch=batch.public_id, edit=BatchEdit(rate=Rate(60), tags=[]), actor=OPERATOR, now=now)
    assert (found.changed, found.updated_at) == ((), batch.updated_at)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("status", [BatchStatus.PLANNED, BatchStatus.COMPLETED, BatchStatus.CANCELED])
def test_only_a_batch_that_is_upgrading_is_edited(package: UpdatePackage, now: datetime, status: BatchStatus) -> None:
    """The seed."""
    batch = make_batch(package, status=status)
    with pytest.raises(Conflict) as error:
        edit_batch(batch=batch.public_id, edit=BatchEdit(rate=Rate(5)), actor=OPERATOR, now=now)
    assert error.value.code == "batch_not_upgrading"


def test_a_paused_batch_is_edited(package: UpdatePackage, now: datetime) -> None:
    """rules.md §3: Edit stays."""
    assert edited(make_batch(package, paused_at=NOW), now, BatchEdit(rate=Rate(5))).rate_per_minute == 5


def test_two_editors_are_told_of_each_other(package: UpdatePackage, now: datetime) -> None:
    """Not saved: somebody changed this batch meanwhile."""
    batch = make_batch(package)
    seen_at = batch.updated_at
    edited(batch, now, BatchEdit(rate=Rate(5)))
    with pytest.raises(Conflict) as error:
        edit_batch(
            batch=batch.public_id, edit=BatchEdit(rate=Rate(6)), actor=OPERATOR, now=now, expected_updated_at=seen_at
        )
    assert error.value.code == "edited_meanwhile"


def test_a_dynamic_batch_gets_other_versions_and_time_out(package: UpdatePackage, now: datetime) -> None:
    """Vendor reference §2.4."""
    batch = make_batch(package, selection=DYNAMIC, source_versions=["1.0"])
    edited(batch, now, BatchEdit(source_versions=["1.2", "1.1"], timeout_minutes=90))
    assert (batch.source_versions, batch.timeout_minutes) == (["1.1", "1.2"], 90)


def test_a_static_batch_has_neither(package: UpdatePackage, now: datetime) -> None:
    """Vendor reference §2.4: dynamic only."""
    found = refused(make_batch(package), now, BatchEdit(source_versions=["1.1"], timeout_minutes=90))
    assert found == {
        "source_versions": ["Only a dynamic batch that selects devices by version has source versions to edit."],
        "timeout_minutes": ["Only the time-out of a dynamic batch can be edited."],
    }


def test_a_group_based_batch_has_no_versions(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Vendor reference §2.4: version-based only."""
    group = DeviceGroup.objects.create(
        public_id=new_public_id(), name="g", kind=DeviceGroup.Kind.DYNAMIC, product=product, created_at=now
    )
    batch = make_batch(package, selection=DYNAMIC, group=group)
    assert list(refused(batch, now, BatchEdit(source_versions=["1.1"]))) == ["source_versions"]


def test_a_delta_package_keeps_its_version(product: Product, now: datetime) -> None:
    """It fits no other one."""
    delta = make_package(product, kind=UpdatePackage.Kind.DELTA, source_version="1.0")
    batch = make_batch(delta, selection=DYNAMIC, source_versions=["1.0"])
    assert refused(batch, now, BatchEdit(source_versions=["1.1"])) == {
        "source_versions": ["A delta package can only be installed on its own source version."]
    }


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ([], "Choose at least one source version."),
        (["2.0"], "The destination version of the package cannot be a source version."),
        ([f"1.{n}" for n in range(31)], "Choose at most 30 source versions."),
    ],
)
def test_versions_of_an_edit(package: UpdatePackage, now: datetime, versions: list[str], message: str) -> None:
    """Vendor reference §2.4."""
    batch = make_batch(package, selection=DYNAMIC, source_versions=["1.0"])
    assert refused(batch, now, BatchEdit(source_versions=versions)) == {"source_versions": [message]}


def test_a_time_out_stays_longer_than_the_retry_interval(package: UpdatePackage, now: datetime) -> None:
    """As at the launch."""
    batch = make_batch(package, selection=DYNAMIC, source_versions=["1.0"], retry_interval_minutes=60, retry_count=1)
    assert refused(batch, now, BatchEdit(timeout_minutes=60)) == {
        "timeout_minutes": ["The time-out must be longer than the retry interval."]
    }


def test_an_unknown_batch(now: datetime) -> None:
    """As everywhere."""
    with pytest.raises(NotFound):
        edit_batch(batch="nowhere", edit=BatchEdit(), actor=OPERATOR, now=now)


def test_pause_and_resume(package: UpdatePackage, now: datetime) -> None:
    """rules.md §3: a flag on Upgrading; asking twice changes nothing more."""
    batch = make_batch(package)
    paused = pause_batch(batch=batch.public_id, actor=OPERATOR, now=now)
    again = pause_batch(batch=batch.public_id, actor=OPERATOR, now=now + timedelta(minutes=1))
    assert (paused.paused_at, paused.is_changed) == (now, True)
    assert (again.paused_at, again.is_changed) == (now, False)
    batch.refresh_from_db()
    assert batch.status == BatchStatus.IN_PROGRESS
    assert resume_batch(batch=batch.public_id, actor=OPERATOR, now=now).is_changed
    assert not resume_batch(batch=batch.public_id, actor=OPERATOR, now=now).is_changed
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == ["batch.pause", "batch.resume"]


@pytest.mark.parametrize("status", [BatchStatus.PLANNED, BatchStatus.COMPLETED, BatchStatus.CANCELED])
def test_only_a_running_batch_is_paused(package: UpdatePackage, now: datetime, status: BatchStatus) -> None:
    """A planned one pushes nothing anyway."""
    batch = make_batch(package, status=status)
    for command in (pause_batch, resume_batch):
        with pytest.raises(Conflict) as error:
            command(batch=batch.public_id, actor=OPERATOR, now=now)
        assert error.value.code == "batch_not_upgrading"
