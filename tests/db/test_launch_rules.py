"""What may be launched: each rule under its field, with its sentence.

This file is long because it is one thing: the rules of one command, field by field.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from batches_app.commands.device_lists import create_device_list
from batches_app.commands.launch import check_launch, launch_batch, review_launch
from batches_app.domain.pacing import Rate
from batches_app.domain.states import BatchStatus, TaskStatus
from batches_app.models import Batch, BatchTag, DeviceListEntry, Task
from devices_app.models import DeviceGroup, Product
from ota_console.audit.models import AuditEntry
from ota_console.core.errors import Conflict, Invalid
from ota_console.core.ids import new_public_id
from packages_app.models import PackageFile, UpdatePackage
from tests.campaign import DYNAMIC, GRAY, GROUP, OPERATOR, OVERWRITE, SPECIFIC, VERIFY, launch, request, start
from tests.factories import make_batch, make_device, make_devices, make_package, make_product, make_task, set_version
from tests.play import progress, said

pytestmark = pytest.mark.django_db
Status = UpdatePackage.Status


@pytest.fixture
def product() -> Product:
    product = make_product()
    make_device(product, name="meter-a")
    return product


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


@pytest.fixture
def delta(product: Product) -> UpdatePackage:
    return make_package(product, kind=UpdatePackage.Kind.DELTA, source_version="1.0")


@pytest.fixture
def group(product: Product, now: datetime) -> Callable[[DeviceGroup.Kind], str]:
    def make(kind: DeviceGroup.Kind) -> str:
        public_id = new_public_id()
        DeviceGroup.objects.create(public_id=public_id, name=public_id, kind=kind, product=product, created_at=now)
        return public_id

    return make


def errors(package: UpdatePackage, now: datetime, **values: Any) -> dict[str, list[str]]:
    found = check_launch(request=request(package, **values), now=now)
    if found:
        with pytest.raises(Invalid) as refused:
            launch_batch(request=request(package, **values), actor=OPERATOR, now=now)
        assert refused.value.errors == found
    return found


def refusal(package: UpdatePackage, now: datetime, **values: Any) -> tuple[str, str]:
    with pytest.raises(Conflict) as refused:
        launch_batch(request=request(package, **values), actor=OPERATOR, now=now)
    return refused.value.code, refused.value.message


def test_an_unknown_package_is_named(now: datetime) -> None:
    """Nothing else is looked at."""
    with pytest.raises(Invalid) as refused:
        launch_batch(request=request(UpdatePackage(public_id="nowhere")), actor=OPERATOR, now=now)
    assert refused.value.errors == {"package": ["There is no such update package."]}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (Status.NOT_VERIFIED, "Verify this package first."),
        (Status.VERIFYING, "This package is still being verified. Wait for the result."),
        (Status.VERIFICATION_FAILED, "The verification of this package failed. Verify it again first."),
    ],
)
def test_a_batch_update_needs_a_verified_package(product: Product, now: datetime, status: Status, message: str) -> None:
    """Vendor reference §2.2."""
    assert refusal(make_package(product, status=status), now) == ("package_not_launchable", message)


@pytest.mark.parametrize("status", [Status.VERIFIED, Status.VERIFICATION_NOT_REQUIRED])
def test_a_verified_package_or_one_that_needs_no_verification(product: Product, now: datetime, status: Status) -> None:
    """Vendor reference §2.2."""
    assert start(make_package(product, status=status), now).status == BatchStatus.IN_PROGRESS


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (Status.VERIFICATION_NOT_REQUIRED, "This package needs no verification. Launch a batch update instead."),
        (Status.VERIFIED, "This package is verified already. Launch a batch update instead."),
        (Status.VERIFYING, "This package is being verified already. Wait for the result."),
    ],
)
def test_a_package_is_verified_once_at_a_time(product: Product, now: datetime, status: Status, message: str) -> None:
    """Vendor reference §1.4, §2.1."""
    package = make_package(product, status=status)
    assert refusal(package, now, kind=VERIFY, device_names=("meter-a",)) == ("package_not_launchable", message)


@pytest.mark.parametrize("status", [Status.NOT_VERIFIED, Status.VERIFICATION_FAILED])
def test_a_verification_marks_its_package(product: Product, now: datetime, status: Status) -> None:
    """Vendor reference §1.4: 0 → 2, and again from 3."""
    package = make_package(product, status=status)
    batch = launch(package, now, kind=VERIFY, device_names=("meter-a",))
    package.refresh_from_db()
    assert (batch.kind, batch.target, package.status) == (VERIFY, SPECIFIC, Status.VERIFYING)
    assert batch.launch_written_count == 1


def test_a_package_without_a_file_is_not_launched(package: UpdatePackage, now: datetime) -> None:
    """There would be nothing to download."""
    PackageFile.objects.all().delete()
    assert refusal(package, now) == ("package_not_launchable", "This update package has no file.")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "Name at least one device."),
        (tuple(f"meter-{n}" for n in range(11)), "Name at most 10 devices."),
        (("meter-a", "meter-a"), "Each device may be named only once."),
        (("meter-x", "meter-a"), "The product has no device of this name: meter-x."),
    ],
)
def test_devices_of_a_verification(product: Product, now: datetime, names: tuple[str, ...], message: str) -> None:
    """Vendor reference §2.1: 1 to 10 names, unique, of the package's product."""
    package = make_package(product, status=Status.NOT_VERIFIED)
    assert errors(package, now, kind=VERIFY, device_names=names) == {"device_names": [message]}


@pytest.mark.parametrize(
    "values",
    [
        {"source_versions": ("1.0",)},
        {"rate": Rate(10)},
        {"retry_interval_minutes": 10},
        {"busy_policy": Batch.BusyPolicy.OVERWRITE},
        {"is_multi_module": True},
        {"gray_percent": Decimal(10)},
        {"group": "g"},
        {"device_list": "l"},
    ],
)
def test_a_verification_has_no_rollout(product: Product, now: datetime, values: dict[str, Any]) -> None:
    """Vendor reference §2.1 lists what there is."""
    package = make_package(product, status=Status.NOT_VERIFIED)
    found = errors(package, now, kind=VERIFY, device_names=("meter-a",), **values)
    assert found == {next(iter(values)): ["A verification cannot set this."]}


def test_named_devices_must_fit_a_delta_package(product: Product, delta: UpdatePackage, now: datetime) -> None:
    """Vendor reference §2.2: the current version of each equals the package's source version."""
    make_device(product, name="meter-b", version="0.9")
    found = errors(delta, now, target=SPECIFIC, device_names=("meter-a", "meter-b"))
    message = "This delta package can only be installed on version 1.0. Other devices: meter-b."
    assert found == {"device_names": [message]}


def test_many_unknown_names_are_told_in_short(package: UpdatePackage, now: datetime) -> None:
    """Five of them and the number of the rest."""
    names = tuple(f"none-{n}" for n in range(8))
    (message,) = errors(package, now, target=SPECIFIC, device_names=names)["device_names"]
    assert message == "The product has no device of this name: none-0, none-1, none-2, none-3, none-4 and 3 more."


def test_more_than_two_hundred_names_need_a_list(package: UpdatePackage, now: datetime) -> None:
    """Vendor reference §2.2."""
    names = tuple(f"none-{n}" for n in range(201))
    assert errors(package, now, target=SPECIFIC, device_names=names) == {"device_names": ["Name at most 200 devices."]}


@pytest.mark.parametrize("values", [{}, {"device_names": ("meter-a",), "device_list": "x"}])
def test_names_or_a_list(package: UpdatePackage, now: datetime, values: dict[str, Any]) -> None:
    """Vendor reference §2.2: exactly one of the two."""
    found = errors(package, now, target=SPECIFIC, **values)
    assert found == {"device_names": ["Name devices or upload a device list, one of the two."]}


def test_a_list_of_another_product_is_unknown(package: UpdatePackage, now: datetime) -> None:
    """A package belongs to one product."""
    other = make_product()
    make_device(other, name="other-1")
    made = create_device_list(product=other.product_key, names=["other-1"], actor=OPERATOR, now=now)
    found = errors(package, now, target=SPECIFIC, device_list=made.public_id)
    assert found == {"device_list": ["This device list does not exist for the product. Upload it again."]}


def test_a_list_is_launched(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Those on the destination version are filtered out (vendor reference §2.2)."""
    make_device(product, name="meter-b", version="2.0")
    make_device(product)
    made = create_device_list(product=product.product_key, names=["meter-a", "meter-b"], actor=OPERATOR, now=now)
    assert launch(package, now, target=SPECIFIC, device_list=made.public_id).launch_written_count == 1


def test_typed_names_become_a_list(package: UpdatePackage, now: datetime) -> None:
    """So that the batch's page can show them."""
    batch = launch(package, now, target=SPECIFIC, device_names=("meter-a",))
    assert DeviceListEntry.objects.get(device_list=batch.device_list).device.name == "meter-a"


@pytest.mark.parametrize("target", [SPECIFIC, GROUP])
def test_source_versions_are_for_all_and_gray(
    package: UpdatePackage, now: datetime, group: Callable[[DeviceGroup.Kind], str], target: Batch.Target
) -> None:
    """Vendor reference §2.2."""
    who = {"device_names": ("meter-a",)} if target == SPECIFIC else {"group": group(DeviceGroup.Kind.STATIC)}
    found = errors(package, now, target=target, source_versions=("1.0",), **who)
    message = "Source versions can only be chosen for all devices and for a gray update."
    assert found == {"source_versions": [message]}


def test_retry_needs_source_versions(package: UpdatePackage, now: datetime) -> None:
    """The seed."""
    found = errors(package, now, retry_interval_minutes=0, retry_count=1)
    message = "Retries need versions to be updated. Choose source versions, or choose no retry."
    assert found == {"retry_interval_minutes": [message]}


def test_a_delta_package_needs_its_own_source_version(delta: UpdatePackage, now: datetime) -> None:
    """Vendor reference §2.2, §2.3."""
    message = "This delta package can only be installed on version 1.0; choose exactly that one."
    assert errors(delta, now) == {"source_versions": [message]}
    assert errors(delta, now, selection=DYNAMIC, source_versions=("1.0", "1.1")) == {"source_versions": [message]}
    assert errors(delta, now, source_versions=("1.0",)) == {}


def test_the_destination_version_is_no_source(package: UpdatePackage, now: datetime) -> None:
    """rules.md §4."""
    message = "The destination version of the package cannot be a source version."
    assert errors(package, now, source_versions=("2.0",)) == {"source_versions": [message]}


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"group": "g"}, "group", "A group can only be chosen for the scope Group."),
        ({"gray_percent": Decimal(5)}, "gray_percent", "Only a gray update has a percentage."),
        ({"dynamic_mode": 2}, "dynamic_mode", "Only a dynamic batch has a dynamic mode."),
        (
            {"device_names": ("meter-a",)},
            "device_names",
            "Devices can only be named for the scope Selected devices.",
        ),
        ({"target": GRAY}, "gray_percent", "Enter a percentage above 0 and up to 100."),
        ({"target": GROUP}, "group", "Choose a group of this product."),
        ({"title": "t" * 101}, "title", "A title has at most 100 characters."),
        ({"tags": (("a b", "c"),)}, "tags", "A tag key has 1 to 30 characters: letters, digits and periods."),
        (
            {"rate": Rate(0)},
            "rate_per_minute",
            "Enter a rate of 1 to 100,000 devices per minute, or leave it empty.",
        ),
        (
            {"is_multi_module": True, "busy_policy": Batch.BusyPolicy.OVERWRITE},
            "busy_policy",
            "Earlier updates cannot be overwritten in multi-module mode.",
        ),
    ],
)
def test_field_by_field(
    package: UpdatePackage, now: datetime, values: dict[str, Any], field: str, message: str
) -> None:
    """Vendor reference §2.2, §2.5, §2.6."""
    assert errors(package, now, **values) == {field: [message]}


@pytest.mark.parametrize(
    ("selection", "kind", "message"),
    [
        (Batch.Selection.STATIC, DeviceGroup.Kind.DYNAMIC, "A static batch needs a static group."),
        (Batch.Selection.DYNAMIC, DeviceGroup.Kind.STATIC, "A dynamic batch needs a dynamic group."),
    ],
)
def test_the_group_fits_the_method(
    package: UpdatePackage,
    now: datetime,
    group: Callable[[DeviceGroup.Kind], str],
    selection: Batch.Selection,
    kind: DeviceGroup.Kind,
    message: str,
) -> None:
    """Vendor reference §2.2, §2.3."""
    target = GROUP if selection == Batch.Selection.STATIC else Batch.Target.ALL
    found = errors(package, now, selection=selection, target=target, group=group(kind))
    assert found == {"group": [message]}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([16 * 1024 * 1024 + 1], "Only a file of up to 16 MB can be downloaded over MQTT."),
        ([1, 1], "Only a package with a single file can be downloaded over MQTT."),
    ],
)
def test_mqtt_is_for_one_small_file(package: UpdatePackage, now: datetime, sizes: list[int], message: str) -> None:
    """Vendor reference §1.3."""
    PackageFile.objects.all().delete()
    for position, size in enumerate(sizes, 1):
        PackageFile.objects.create(package=package, position=position, name=f"f{position}.bin", size_bytes=size)
    assert errors(package, now, download_protocol=Batch.Protocol.MQTT) == {"download_protocol": [message]}


class TestDynamic:
    """Vendor reference §2.3."""

    @pytest.mark.parametrize("values", [{}, {"source_versions": ("1.0",), "group": "g"}])
    def test_versions_or_a_group(self, package: UpdatePackage, now: datetime, values: dict[str, Any]) -> None:
        """Exactly one of the two."""
        found = errors(package, now, selection=DYNAMIC, **values)
        assert found == {"source_versions": ["Choose either source versions or a dynamic group."]}

    def test_there_are_two_modes(self, package: UpdatePackage, now: datetime) -> None:
        """1: current and later matches; 2: later ones only."""
        found = errors(package, now, selection=DYNAMIC, source_versions=("1.0",), dynamic_mode=3)
        assert found == {"dynamic_mode": ["Choose dynamic mode 1 or 2."]}

    @pytest.mark.parametrize("field", ["schedule_at", "finish_at"])
    def test_no_schedule(self, package: UpdatePackage, now: datetime, field: str) -> None:
        """It runs until its policy is canceled."""
        values: dict[str, Any] = {field: now + timedelta(hours=2)}
        found = errors(package, now, selection=DYNAMIC, source_versions=("1.0",), **values)
        assert found == {field: ["A dynamic batch cannot set this."]}

    def test_one_running_batch_per_package(self, package: UpdatePackage, now: datetime) -> None:
        """rules.md §3."""
        start(package, now, selection=DYNAMIC, source_versions=("1.0",))
        assert refusal(package, now, selection=DYNAMIC, source_versions=("1.1",)) == (
            "dynamic_batch_running",
            "This package has a running dynamic batch already. Edit it, or cancel its policy first.",
        )

    def test_it_may_match_nobody_yet(self, package: UpdatePackage, now: datetime) -> None:
        """Later matches are its point."""
        assert launch(package, now, selection=DYNAMIC, source_versions=("0.1",)).launch_written_count == 0

    def test_mode_two_takes_nobody_at_the_launch(self, package: UpdatePackage, now: datetime) -> None:
        """Only devices that report a new version afterwards."""
        batch = launch(package, now, selection=DYNAMIC, source_versions=("1.0",), dynamic_mode=2)
        assert (batch.launch_written_count, batch.launch_state) == (0, Batch.LaunchState.DONE)

    def test_batches_of_one_group_agree_on_their_modes(
        self, product: Product, package: UpdatePackage, now: datetime, group: Callable[[DeviceGroup.Kind], str]
    ) -> None:
        """Multi-module mode and overwriting equal those of the group's running dynamic batches."""
        public_id = group(DeviceGroup.Kind.DYNAMIC)
        start(package, now, selection=DYNAMIC, group=public_id)
        other = make_package(product, version="3.0")
        found = errors(other, now, selection=DYNAMIC, group=public_id, is_multi_module=True)
        assert list(found) == ["is_multi_module"]
        overwriting = Batch.BusyPolicy.OVERWRITE
        assert list(errors(other, now, selection=DYNAMIC, group=public_id, busy_policy=overwriting)) == ["busy_policy"]


def test_a_static_launch_that_matches_nothing_is_refused(product: Product, now: datetime) -> None:
    """rules.md §3."""
    with pytest.raises(Invalid) as refused:
        start(make_package(product, version="1.0"), now)
    assert refused.value.errors == {
        "": ["No device matches this scope. Devices on the destination version are left out."]
    }


def test_a_launch_that_differs_from_its_review_asks_again(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """rules.md §4: the fingerprint travels with the review."""
    review = review_launch(request=request(package), now=now)
    assert review.counts is not None
    make_devices(product, 1)
    assert refusal(package, now, fingerprint=review.counts.fingerprint) == (
        "scope_changed",
        "The devices that match have changed since you reviewed them. Review again.",
    )
    again = review_launch(request=request(package), now=now)
    assert again.counts is not None
    assert start(package, now, fingerprint=again.counts.fingerprint).pk


MORE_BUSY = "More of the devices are busy with other updates than when you reviewed them. Review again."


@pytest.mark.parametrize("busy_policy", [Batch.BusyPolicy.FAIL, OVERWRITE])
def test_a_launch_that_meets_more_busy_devices_than_its_review_asks_again(
    product: Product, package: UpdatePackage, now: datetime, busy_policy: Batch.BusyPolicy
) -> None:
    """Else all would fail as conflicts, or cancel what the reviewer did not know of."""
    devices = make_devices(product, 2)
    other = make_batch(make_package(product, version="3.0"))
    make_task(other, devices[0])
    review = review_launch(request=request(package, busy_policy=busy_policy), now=now)
    assert review.counts is not None
    task = make_task(other, devices[1])
    reviewed: dict[str, Any] = {"busy_policy": busy_policy, "fingerprint": review.counts.fingerprint}
    assert refusal(package, now, **reviewed) == ("scope_changed", MORE_BUSY)
    Task.objects.filter(pk=task.pk).delete()
    assert start(package, now, **reviewed).pk


@pytest.mark.parametrize("busy_policy", [Batch.BusyPolicy.FAIL, OVERWRITE])
def test_a_launch_that_meets_fewer_busy_devices_does_not_ask(
    product: Product, package: UpdatePackage, now: datetime, busy_policy: Batch.BusyPolicy
) -> None:
    """Nor where they have begun to upgrade meanwhile: a busy fleet must not ask for ever."""
    devices = make_devices(product, 2)
    other = make_batch(make_package(product, version="3.0"))
    tasks = [make_task(other, device, TaskStatus.NOTIFIED) for device in devices]
    review = review_launch(request=request(package, busy_policy=busy_policy), now=now)
    assert review.counts is not None
    said(progress(devices[0], 10))
    Task.objects.filter(pk=tasks[1].pk).delete()
    assert start(package, now, busy_policy=busy_policy, fingerprint=review.counts.fingerprint).pk


@pytest.mark.parametrize("tail", ["", "-", "-x", "-" + "9" * 5000])
def test_a_fingerprint_of_another_form_asks_again(package: UpdatePackage, now: datetime, tail: str) -> None:
    """Whatever a program sends."""
    review = review_launch(request=request(package), now=now)
    assert review.counts is not None
    code, _ = refusal(package, now, fingerprint=review.counts.fingerprint.partition("-")[0] + tail)
    assert code == "scope_changed"


def test_everything_asked_stands_on_the_batch(package: UpdatePackage, now: datetime) -> None:
    """Policy, tags, who and when; the audit has a line."""
    values: dict[str, Any] = {
        "title": "Wave 3",
        "source_versions": ("1.1", "1.0"),
        "rate_kind": Batch.RateKind.VARIABLE,
        "rate": Rate(1_000, 50, 1.5, 100),
        "retry_interval_minutes": 30,
        "retry_count": 2,
        "timeout_minutes": 60,
        "notify_timeout_minutes": 90,
        "needs_push": False,
        "needs_confirm": True,
        "finish_at": now + timedelta(days=1),
        "tags": (("wave", "3"), ("team", "ota")),
    }
    batch = start(package, now, **values)
    rate = (batch.rate_per_minute, batch.rate_base_per_minute, batch.rate_factor, batch.rate_notified_step)
    assert (batch.title, batch.source_versions, rate) == ("Wave 3", ["1.0", "1.1"], (1_000, 50, Decimal("1.5"), 100))
    assert (batch.retry_interval_minutes, batch.retry_count, batch.timeout_minutes) == (30, 2, 60)
    assert (batch.needs_push, batch.needs_confirm, batch.notify_timeout_minutes) == (False, True, 90)
    assert list(BatchTag.objects.values_list("position", "key", "value")) == [(1, "wave", "3"), (2, "team", "ota")]
    assert AuditEntry.objects.get(target_id=batch.public_id).action == "batch.launch"


def test_a_review_without_a_usable_scope_has_no_counts(package: UpdatePackage, now: datetime) -> None:
    """Who is meant is open; the mistakes are told."""
    found = review_launch(request=request(package, target=GRAY), now=now)
    assert found.counts is None
    assert list(found.errors) == ["gray_percent"]


def test_a_review_of_a_wrong_policy_still_counts(product: Product, package: UpdatePackage, now: datetime) -> None:
    """The first step of the form needs the counts, whatever the second one says."""
    found = review_launch(request=request(package, timeout_minutes=0), now=now)
    assert found.counts is not None
    assert found.counts.matched_count == 1


def test_devices_on_the_target_are_filtered_out(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Vendor reference §2.2: silently."""
    set_version(make_device(product), "2.0")
    batch = launch(package, now)
    assert batch.launch_written_count == 1
    assert make_batch(package).pk
