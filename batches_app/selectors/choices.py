"""What the launch form offers: reported versions with their devices, groups, test devices. Reads only."""

from dataclasses import dataclass
from typing import Final

from django.db.models import Count

from batches_app.models import DeviceList
from devices_app.models import Device, DeviceGroup, ModuleVersion
from packages_app.models import UpdatePackage

MAX_VERSIONS: Final = 200
"""More versions than anybody ticks; the most frequent ones are shown."""
MAX_TEST_DEVICES: Final = 20


@dataclass(frozen=True, slots=True)
class VersionChoice:
    """A version that devices have reported of the package's module."""

    version: str
    device_count: int


@dataclass(frozen=True, slots=True)
class TestDevice:
    """A device that could try a package out."""

    name: str
    version: str


def version_choices(package: UpdatePackage) -> tuple[VersionChoice, ...]:
    """Every reported version of the module except the target, most frequent first (rules.md §4).

    Of a delta package its source version only.
    """
    found = ModuleVersion.objects.filter(module=package.module_id).exclude(version=package.version)
    if package.kind == UpdatePackage.Kind.DELTA:
        found = found.filter(version=package.source_version)
    rows = found.order_by().values_list("version").annotate(count=Count("device")).order_by("-count", "version")
    return tuple(VersionChoice(version, count) for version, count in rows[:MAX_VERSIONS])


def group_choices(package: UpdatePackage) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Static and dynamic groups of the product: public id and name."""
    rows = DeviceGroup.objects.filter(product=package.product_id).values_list("kind", "public_id", "name")
    static = [(public_id, name) for kind, public_id, name in rows if kind == DeviceGroup.Kind.STATIC]
    return static, [(public_id, name) for kind, public_id, name in rows if kind == DeviceGroup.Kind.DYNAMIC]


def test_devices(package: UpdatePackage) -> tuple[TestDevice, ...]:
    """Online devices that are not on the target yet, by name; for a delta those on its source version."""
    found = ModuleVersion.objects.filter(module=package.module_id, device__is_online=True, device__is_enabled=True)
    found = found.exclude(version=package.version)
    if package.kind == UpdatePackage.Kind.DELTA:
        found = found.filter(version=package.source_version)
    rows = found.order_by("device_id").values_list("device__name", "version")
    return tuple(TestDevice(name, version) for name, version in rows[:MAX_TEST_DEVICES])


def product_device_count(package: UpdatePackage) -> int:
    """All devices of the package's product."""
    return Device.objects.filter(product=package.product_id).count()


@dataclass(frozen=True, slots=True)
class ListFacts:
    """A device list: how many devices are on it, and what was left out of it."""

    public_id: str
    file_name: str
    device_count: int
    bad_line_count: int


def list_facts(public_id: str) -> ListFacts | None:
    """One device list."""
    fields = ("public_id", "file_name", "device_count", "bad_line_count")
    row = DeviceList.objects.filter(public_id=public_id).values_list(*fields).first()
    return None if row is None else ListFacts(*row)


def bad_lines(public_id: str) -> str | None:
    """CSV `line,name,reason` of the names that were left out; None: no such list."""
    return DeviceList.objects.filter(public_id=public_id).values_list("bad_lines", flat=True).first()
