"""The demo's fleet: made by the product's own commands, and only as far as it is missing."""

from hashlib import sha256
from io import StringIO

import pytest
from django.core.management import call_command

from devices_app.models import Device, DeviceGroup, ModuleVersion, Product
from ota_console.demo.seed import seed
from packages_app.models import PackageFile, UpdatePackage
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def test_the_seed_makes_a_fleet_to_try_everything_with() -> None:
    """Versions in the field; a package that may be launched, one to be verified, a delta, one of another module."""
    made = seed(devices=25, now=NOW)
    assert (made.device_count, made.package_count) == (25, 4)
    assert sorted(set(ModuleVersion.objects.values_list("version", flat=True))) == ["0.9.8", "1.0.3", "1.4.2"]
    assert Device.objects.order_by("pk").values_list("name", flat=True)[0] == "meter-0001"
    assert DeviceGroup.objects.get().devices.count() == 20
    facts = {(row.module.name, row.kind, row.status) for row in UpdatePackage.objects.select_related("module")}
    assert facts == {("default", 0, -1), ("default", 0, 0), ("default", 1, -1), ("radio", 0, -1)}


def test_seeding_again_changes_nothing() -> None:
    """Keys and secrets stay; more devices are added where more are wanted."""
    seed(devices=5, now=NOW)
    before = list(Device.objects.order_by("pk").values_list("name", "secret"))
    again = seed(devices=7, now=NOW)
    assert (again.device_count, again.package_count) == (7, 4)
    assert list(Device.objects.order_by("pk").values_list("name", "secret"))[:5] == before
    assert Product.objects.count() == 1


def test_the_seeded_files_are_what_their_digests_say() -> None:
    """A device compares them after its download."""
    seed(devices=1, now=NOW)
    for row in PackageFile.objects.all():
        with row.file.open() as stored:
            content = stored.read()
        assert (len(content), sha256(content).hexdigest()) == (row.size_bytes, row.sha256)


def test_the_command_says_what_there_is() -> None:
    """For people and scripts."""
    out = StringIO()
    call_command("seed", devices=3, stdout=out)
    assert out.getvalue().endswith(": 3 devices, 4 update packages.\n")
