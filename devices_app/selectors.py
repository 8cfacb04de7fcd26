"""What lists and pages read of products, modules, devices and groups.

Reads only; the rows of a page cost a fixed number of queries.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Substr
from django.db.models.lookups import Exact
from django.utils.translation import gettext as _

from devices_app.models import DEFAULT_MODULE, Device, DeviceGroup, GroupMember, Module, ModuleVersion, Product
from ota_console.core.errors import NotFound


def products() -> QuerySet[Product]:
    """All products, newest first."""
    return Product.objects.order_by("-pk")


def product_ids(product_key: str = "") -> list[int]:
    """The key of one product, or of all: few, and with them a device's name is found by its index."""
    rows = Product.objects.filter(product_key=product_key) if product_key else Product.objects.all()
    return list(rows.order_by().values_list("pk", flat=True))


def modules() -> QuerySet[Module]:
    """Modules with their products."""
    return Module.objects.select_related("product").order_by("-pk")


def module(product_key: str, name: str) -> Module:
    """One module by product key and name. Raises `NotFound`."""
    found = modules().filter(product__product_key=product_key, name=name).first()
    if found is None:
        raise NotFound("module_unknown", _("This product has no module of this name."))
    return found


def devices() -> QuerySet[Device]:
    """Devices with their product and what they last reported. Two queries a page."""
    versions = ModuleVersion.objects.select_related("module").order_by("module__name")
    return Device.objects.select_related("product").prefetch_related(Prefetch("versions", versions)).order_by("-pk")


def groups() -> QuerySet[DeviceGroup]:
    """Groups with their products."""
    return DeviceGroup.objects.select_related("product").order_by("-pk")


def group_devices(public_id: str) -> QuerySet[Device]:
    """The members of a static group, or the devices that fit the filter of a dynamic one. Raises `NotFound`."""
    group = groups().filter(public_id=public_id).first()
    if group is None:
        raise NotFound("group_unknown", _("There is no such group."))
    if group.kind == DeviceGroup.Kind.STATIC:
        return devices().filter(pk__in=GroupMember.objects.filter(group=group).values("device_id"))
    return devices().filter(_fits(group.filter), product_id=group.product_id)


def _fits(stored: dict[str, Any]) -> Q:
    """A stored filter: a missing key does not restrict. Compared exactly, on databases whose LIKE ignores case too."""
    fits = Q()
    if prefix := stored.get("name_prefix", ""):
        fits &= Q(Exact(Substr("name", 1, len(prefix)), prefix))
    if stored.get("module") or stored.get("versions"):
        reported = ModuleVersion.objects.filter(
            device=OuterRef("pk"), module__name__iexact=stored.get("module") or DEFAULT_MODULE
        )
        if versions := stored.get("versions"):
            reported = reported.filter(version__in=versions)
        fits &= Q(Exists(reported))
    return fits


@dataclass(frozen=True, slots=True)
class DeviceSummary:
    """How many devices there are. Online, offline and never connected add up to the total, disabled ones among them."""

    total: int
    online: int
    offline: int
    never_connected: int
    disabled: int


def device_summary(product_key: str = "") -> DeviceSummary:
    """Of one product, or of all. One query. An unknown product has no devices."""
    rows = Device.objects.filter(product__product_key=product_key) if product_key else Device.objects.all()
    counts = rows.aggregate(
        total=Count("pk"),
        online=Count("pk", filter=Q(is_online=True)),
        never_connected=Count("pk", filter=Q(activated_at__isnull=True, is_online=False)),
        disabled=Count("pk", filter=Q(is_enabled=False)),
    )
    offline = counts["total"] - counts["online"] - counts["never_connected"]
    return DeviceSummary(offline=offline, **counts)
