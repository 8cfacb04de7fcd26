"""The demo's fleet and update packages: real rows and real files, made by the same commands that people use.

May run again at any time: what exists stays. Device names, versions and files are the same on every machine; keys and
secrets are not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Final

from django.core.files.base import ContentFile

from devices_app import sql
from devices_app.commands.devices import DeviceDraft, create_devices
from devices_app.commands.groups import GroupDraft, change_members, create_group
from devices_app.commands.modules import create_module
from devices_app.commands.products import create_product
from devices_app.models import Device, DeviceGroup, Module, ModuleVersion, Product
from ota_console.accounts.models import User
from ota_console.audit.actor import Actor
from ota_console.core import clock
from packages_app.commands.create import PackageDraft, create_package
from packages_app.digests import DigestBuilder
from packages_app.models import UpdatePackage
from packages_app.uploads import ReceivedFile

PRODUCT: Final = "Harbour_meter"
MODULE: Final = "radio"
PILOT_GROUP: Final = "Pilot_meters"
PILOT_COUNT: Final = 20
DEVICES_AT_ONCE: Final = 1_000
OLD_VERSION: Final = "1.0.3"
OLDEST_VERSION: Final = "0.9.8"
RADIO_VERSION: Final = "1.4.2"


@dataclass(frozen=True, slots=True)
class _Seeded:
    """A package and the size of its one file."""

    draft: PackageDraft
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What there is now."""

    product_key: str
    device_count: int
    package_count: int


def seed(*, devices: int, now: datetime | None = None) -> SeedResult:
    """Make the product, its devices, a group and four packages, as far as they are missing. `now` is by default now."""
    actor = _operator()
    now = now or clock.now()
    product = _product(actor, now)
    _devices(product, devices, actor, now)
    _group(product, actor, now)
    for seeded in _packages(product):
        if not UpdatePackage.objects.filter(name=seeded.draft.name).exists():
            create_package(draft=seeded.draft, files=[_file(seeded)], actor=actor, now=now)
    return SeedResult(product.product_key, product.devices.count(), product.packages.count())


def _operator() -> Actor:
    user = User.objects.filter(username="operator").first()
    return Actor(None if user is None else user.pk, "operator")


def _product(actor: Actor, now: datetime) -> Product:
    if not Product.objects.filter(name=PRODUCT).exists():
        key = create_product(name=PRODUCT, actor=actor, now=now).product_key
        create_module(product=key, name=MODULE, alias="Radio", actor=actor, now=now)
    return Product.objects.get(name=PRODUCT)


def _devices(product: Product, wanted: int, actor: Actor, now: datetime) -> None:
    """`meter-0001` … ; every fifth still runs the oldest version."""
    present = Device.objects.filter(product=product).count()
    for start in range(present, wanted, DEVICES_AT_ONCE):
        names = [f"meter-{number + 1:04d}" for number in range(start, min(start + DEVICES_AT_ONCE, wanted))]
        drafts = [DeviceDraft(name=name) for name in names]
        create_devices(product=product.product_key, drafts=drafts, actor=actor, now=now)
    _versions(product, "default", (OLD_VERSION,) * 4 + (OLDEST_VERSION,), now)
    _versions(product, MODULE, (RADIO_VERSION,), now)


def _versions(product: Product, module_name: str, versions: tuple[str, ...], now: datetime) -> None:
    """What devices of which no version is known report next: the versions by turns."""
    module = Module.objects.get(product=product, name=module_name)
    known = ModuleVersion.objects.filter(module=module).values("device")
    unknown = Device.objects.filter(product=product).exclude(pk__in=known).order_by("pk").values_list("pk", flat=True)
    rows = [(pk, module.pk, versions[number % len(versions)], "") for number, pk in enumerate(unknown)]
    sql.insert_versions(rows, now)


def _group(product: Product, actor: Actor, now: datetime) -> None:
    if DeviceGroup.objects.filter(name=PILOT_GROUP).exists():
        return
    draft = GroupDraft(name=PILOT_GROUP, product=product.product_key, description="The meters in our own office")
    group = create_group(draft=draft, actor=actor, now=now)
    names = Device.objects.filter(product=product).order_by("pk").values_list("name", flat=True)[:PILOT_COUNT]
    if names:
        change_members(group=group, actor=actor, now=now, add=list(names))


def _packages(product: Product) -> Iterator[_Seeded]:
    """Ready to launch, to be verified first, a delta, and one of another module."""
    draft = partial(PackageDraft, product=product.product_key, needs_verification=False)
    full = draft(name="meter-firmware", version="1.1.0", sign_method=UpdatePackage.SignMethod.SHA256)
    yield _Seeded(replace(full, description="Reads the meter twice as often, with the same battery"), 1_400_000)
    later = draft(name="meter-firmware-next", version="1.2.0", description="To be verified first")
    yield _Seeded(replace(later, needs_verification=True), 1_600_000)
    delta = draft(name="meter-delta", version="1.0.4", description="Only the difference: for meters on 1.0.3")
    yield _Seeded(replace(delta, kind=UpdatePackage.Kind.DELTA, source_version=OLD_VERSION), 120_000)
    yield _Seeded(draft(name="meter-radio", version="2.0.0", module=MODULE, description="For the radio"), 300_000)


def _file(seeded: _Seeded) -> ReceivedFile:
    """Bytes that look like firmware to a digest: the same for the same name."""
    blocks = -(-seeded.size_bytes // 64)
    name = seeded.draft.name.encode()
    content = b"".join(blake2b(name + block.to_bytes(4, "big")).digest() for block in range(blocks))
    content = content[: seeded.size_bytes]
    digests = DigestBuilder()
    digests.feed(content)
    return ReceivedFile(name="firmware.bin", digests=digests.result(), content=ContentFile(content))
