"""Who is in a batch, who is out and why: the dry run's counts."""

from datetime import datetime
from decimal import Decimal

import pytest

from batches_app.commands.launch import review_launch
from batches_app.domain.states import TaskStatus
from batches_app.models import Task
from batches_app.scope import ScopeCounts
from devices_app.models import DeviceGroup, GroupMember, Module, Product
from ota_console.core.ids import new_public_id
from packages_app.models import UpdatePackage
from tests.campaign import DYNAMIC, GRAY, GROUP, LEAVE_OUT, OVERWRITE, SPECIFIC, launch, request, tasks_of
from tests.factories import make_batch, make_device, make_devices, make_package, make_product, make_task, set_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def product() -> Product:
    return make_product()


@pytest.fixture
def package(product: Product) -> UpdatePackage:
    return make_package(product)


def review(package: UpdatePackage, now: datetime, **values: object) -> ScopeCounts:
    found = review_launch(request=request(package, **values), now=now)
    assert found.errors == {}
    assert found.counts is not None
    return found.counts


def make_group(product: Product, kind: DeviceGroup.Kind, now: datetime, **values: object) -> DeviceGroup:
    public_id = new_public_id()
    return DeviceGroup.objects.create(
        public_id=public_id, name=public_id, kind=kind, product=product, created_at=now, **values
    )


def test_each_device_is_counted_under_its_first_reason(product: Product, package: UpdatePackage, now: datetime) -> None:
    """The review's lines add up to the fleet."""
    make_device(product)
    make_device(product, is_online=False)
    make_device(product, version="2.0")
    make_device(product, version="0.9")
    make_device(product, version="")
    make_device(product, is_enabled=False, version="2.0")
    make_device(make_product())
    counts = review(package, now, source_versions=("1.0",))
    assert (counts.device_count, counts.matched_count, counts.online_count) == (6, 2, 1)
    assert (counts.disabled_count, counts.on_target_count) == (1, 1)
    assert (counts.never_reported_count, counts.wrong_version_count) == (1, 1)


def test_full_package_without_versions_takes_devices_that_never_reported(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """Vendor reference §1.3: for a full package reporting is optional."""
    make_device(product, version="")
    assert review(package, now).matched_count == 1


def test_versions_of_other_modules_do_not_matter(product: Product, package: UpdatePackage, now: datetime) -> None:
    """The target is the version of the package's module."""
    camera = Module.objects.create(product=product, name="camera", created_at=now)
    set_version(make_device(product), "2.0", camera)
    assert review(package, now, source_versions=("1.0",)).matched_count == 1


def test_busy_devices_are_counted_by_what_would_happen(product: Product, package: UpdatePackage, now: datetime) -> None:
    """They fail, are overwritten, or are left out; an Upgrading one is never overwritten (seed)."""
    other = make_batch(make_package(product, version="3.0"))
    make_device(product)
    make_task(other, make_device(product), TaskStatus.NOTIFIED)
    make_task(other, make_device(product), TaskStatus.IN_PROGRESS)
    fails, overwrites, leaves = (
        review(package, now),
        review(package, now, busy_policy=OVERWRITE),
        review(package, now, busy_policy=LEAVE_OUT),
    )
    assert (fails.matched_count, fails.conflict_count, fails.overwritten_count) == (3, 2, 0)
    assert (overwrites.matched_count, overwrites.conflict_count, overwrites.overwritten_count) == (3, 1, 1)
    assert (leaves.matched_count, leaves.conflict_count, leaves.left_out_count) == (1, 0, 2)


def test_in_multi_module_mode_the_same_modules_older_update_is_overwritten(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """rules.md §7, whatever the policy; only an Upgrading one makes the new one fail."""
    other = make_batch(make_package(product, version="3.0"), is_multi_module=True)
    make_task(other, make_device(product), TaskStatus.NOTIFIED, is_multi_module=True)
    make_task(other, make_device(product), TaskStatus.IN_PROGRESS, is_multi_module=True)
    counts = review(package, now, is_multi_module=True)
    assert (counts.updated_count, counts.conflict_count, counts.overwritten_count) == (1, 1, 1)
    batch = launch(package, now, is_multi_module=True)
    assert sorted(status for _, status in tasks_of(batch)) == ["FAILED", "QUEUED"]


def test_gray_takes_exactly_its_share_and_the_same_devices_again(
    product: Product, package: UpdatePackage, now: datetime
) -> None:
    """rules.md §4: floor(n × percent / 100), chosen by a hash of batch and device."""
    make_devices(product, 100)
    make_devices(product, 20, version="2.0")
    counts = review(package, now, target=GRAY, gray_percent=Decimal("33.33"))
    assert (counts.matched_count, counts.not_chosen_count) == (33, 67)
    batch = launch(package, now, slice_size=10, target=GRAY, gray_percent=Decimal("33.33"))
    assert len(tasks_of(batch)) == 33
    other = launch(make_package(product, version="3.0"), now, target=GRAY, gray_percent=Decimal("33.33"))
    assert {name for name, _ in tasks_of(batch)} != {name for name, _ in tasks_of(other)}


def test_gray_is_at_least_one_device(product: Product, package: UpdatePackage, now: datetime) -> None:
    """A hundredth per cent of ten devices is one."""
    make_devices(product, 10)
    assert len(tasks_of(launch(package, now, target=GRAY, gray_percent=Decimal("0.01")))) == 1


def test_named_devices(product: Product, package: UpdatePackage, now: datetime) -> None:
    """SPECIFIC: nobody else."""
    named, _ = make_devices(product, 2)
    counts = review(package, now, target=SPECIFIC, device_names=(named.name,))
    assert (counts.device_count, counts.matched_count) == (1, 1)


def test_static_group(product: Product, package: UpdatePackage, now: datetime) -> None:
    """GROUP: its members."""
    member, _ = make_devices(product, 2)
    group = make_group(product, DeviceGroup.Kind.STATIC, now)
    GroupMember.objects.create(group=group, device=member)
    batch = launch(package, now, target=GROUP, group=group.public_id)
    assert tasks_of(batch) == [(member.name, "QUEUED")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, {"alpha-1", "alpha-2", "beta-1"}),
        ({"name_prefix": "alpha"}, {"alpha-1", "alpha-2"}),
        ({"versions": ["1.1"]}, {"alpha-2"}),
        ({"module": "camera"}, {"beta-1"}),
        ({"module": "Camera", "versions": ["7"]}, {"beta-1"}),
        ({"module": "camera", "versions": ["8"]}, set()),
        ({"module": "unheard-of"}, set()),
        ({"name_prefix": "ALPHA"}, set()),
    ],
)
def test_dynamic_group(
    product: Product, package: UpdatePackage, now: datetime, rule: dict[str, object], expected: set[str]
) -> None:
    """A stored filter of name, module and versions; a missing key does not restrict."""
    camera = Module.objects.create(product=product, name="camera", created_at=now)
    make_device(product, name="alpha-1")
    make_device(product, name="alpha-2", version="1.1")
    set_version(make_device(product, name="beta-1"), "7", camera)
    group = make_group(product, DeviceGroup.Kind.DYNAMIC, now, filter=rule)
    batch = launch(package, now, selection=DYNAMIC, group=group.public_id)
    assert {name for name, _ in tasks_of(batch)} == expected


def test_delta_package_fits_its_own_source_version_only(product: Product, now: datetime) -> None:
    """Vendor reference §1.3."""
    make_device(product)
    make_device(product, version="1.5")
    delta = make_package(product, kind=UpdatePackage.Kind.DELTA, source_version="1.5")
    counts = review(delta, now, source_versions=("1.5",))
    assert (counts.matched_count, counts.wrong_version_count) == (1, 1)


def test_fingerprint_tells_who_is_in(product: Product, package: UpdatePackage, now: datetime) -> None:
    """Equal while the same devices match; another one when one leaves and another comes."""
    first, second = make_devices(product, 2)
    set_version(second, "2.0")
    before = review(package, now)
    assert review(package, now).fingerprint == before.fingerprint
    set_version(first, "2.0")
    set_version(second, "1.0")
    after = review(package, now)
    assert after.matched_count == before.matched_count
    assert after.fingerprint != before.fingerprint


def test_review_counts_what_the_launch_writes(product: Product, package: UpdatePackage, now: datetime) -> None:
    """The dry run and the launch are the same statement (rules.md §4)."""
    make_devices(product, 5)
    make_device(product, version="0.9")
    make_task(make_batch(make_package(product, version="3.0")), make_device(product))
    counts = review(package, now, source_versions=("1.0",))
    batch = launch(package, now, source_versions=("1.0",))
    found = Task.objects.filter(batch=batch)
    assert found.count() == counts.matched_count
    assert found.filter(status=TaskStatus.FAILED).count() == counts.conflict_count
