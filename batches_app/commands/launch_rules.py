"""The rules of a launch that need the database: what the package, the devices, the groups and other batches allow.

Reads only. Every mistake is a complete sentence under the field of `LaunchRequest` that it is about. Source: vendor
reference §2.1 … §2.6, rules.md §2 … §4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext, gettext_noop, ngettext

from batches_app import scope as scopes
from batches_app.commands.launch_request import LaunchRequest
from batches_app.commands.rows import invalid
from batches_app.domain import policy
from batches_app.domain.policy import Errors
from batches_app.domain.states import BatchStatus
from batches_app.models import Batch, DeviceList
from batches_app.scope import Scope, ScopeCounts, Since
from devices_app.models import Device, DeviceGroup, ModuleVersion
from ota_console.core.errors import Conflict
from packages_app.models import UpdatePackage

_SHOWN_NAMES: Final = 5
Target = Batch.Target
STATIC, DYNAMIC = Batch.Selection.STATIC, Batch.Selection.DYNAMIC


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that a request names."""

    package: UpdatePackage
    group: DeviceGroup | None
    device_list: DeviceList | None


def find(request: LaunchRequest, *, lock: bool = False) -> Found:
    """Look up what the request names, locking the package's row if asked. Raises `Invalid` {"package"}."""
    packages = UpdatePackage.objects.select_related("product", "module")
    if lock:
        packages = packages.select_for_update(no_key=True, of=("self",))
    package = packages.filter(public_id=request.package).first()
    if package is None:
        raise invalid("package_unknown", {"package": [gettext_noop("There is no such update package.")]})
    groups = DeviceGroup.objects.filter(product=package.product_id)
    lists = DeviceList.objects.filter(product=package.product_id)
    return Found(
        package=package,
        group=groups.filter(public_id=request.group).first() if request.group else None,
        device_list=lists.filter(public_id=request.device_list).first() if request.device_list else None,
    )


def check_package(request: LaunchRequest, package: UpdatePackage) -> None:
    """Raises `Conflict` where the package may not be launched now (vendor reference §1.4, §2.1, §2.3)."""
    status = UpdatePackage.Status(package.status)
    message = (_verify_refusal if request.kind == Batch.Kind.VERIFY else _update_refusal)(status)
    if message:
        raise Conflict("package_not_launchable", message, "package")
    if not package.files.exists():
        raise Conflict("package_not_launchable", gettext("This update package has no file."), "package")
    if request.kind == Batch.Kind.UPDATE and request.selection == DYNAMIC:
        running = Batch.objects.filter(package=package, selection=DYNAMIC, status=BatchStatus.IN_PROGRESS)
        if running.exists():
            message = gettext("This package has a running dynamic batch already. Edit it, or cancel its policy first.")
            raise Conflict("dynamic_batch_running", message, "package")


def _verify_refusal(status: UpdatePackage.Status) -> str:
    return {
        UpdatePackage.Status.VERIFICATION_NOT_REQUIRED: gettext(
            "This package needs no verification. Launch a batch update instead."
        ),
        UpdatePackage.Status.VERIFIED: gettext("This package is verified already. Launch a batch update instead."),
        UpdatePackage.Status.VERIFYING: gettext("This package is being verified already. Wait for the result."),
    }.get(status, "")


def _update_refusal(status: UpdatePackage.Status) -> str:
    return {
        UpdatePackage.Status.NOT_VERIFIED: gettext("Verify this package first."),
        UpdatePackage.Status.VERIFYING: gettext("This package is still being verified. Wait for the result."),
        UpdatePackage.Status.VERIFICATION_FAILED: gettext(
            "The verification of this package failed. Verify it again first."
        ),
    }.get(status, "")


def check_files(errors: Errors, request: LaunchRequest, package: UpdatePackage) -> None:
    """A download over MQTT is for one small file (vendor reference §1.3)."""
    if request.download_protocol != Batch.Protocol.MQTT:
        return
    sizes = list(package.files.values_list("size_bytes", flat=True))
    if len(sizes) != 1:
        errors["download_protocol"].append(gettext("Only a package with a single file can be downloaded over MQTT."))
    elif sizes[0] > policy.MAX_MQTT_BYTES:
        errors["download_protocol"].append(gettext("Only a file of up to 16 MB can be downloaded over MQTT."))


def check_names(errors: Errors, names: Sequence[str], package: UpdatePackage, *, limit: int) -> None:
    """Devices named one by one.

    A few, each once, of the product, and right for a delta package (vendor reference §2.1, §2.2).
    """
    messages = errors["device_names"]
    if not names:
        messages.append(gettext("Name at least one device."))
    if len(names) > limit:
        messages.append(gettext("Name at most %(limit)d devices.") % {"limit": limit})
        return
    if len(set(names)) < len(names):
        messages.append(gettext("Each device may be named only once."))
    known = dict(Device.objects.filter(product=package.product_id, name__in=names).values_list("pk", "name"))
    missing = [name for name in dict.fromkeys(names) if name not in known.values()]
    if missing:
        messages.append(gettext("The product has no device of this name: %(names)s.") % {"names": _some(missing)})
    if package.kind == UpdatePackage.Kind.DELTA:
        _check_delta_devices(messages, known, package)
    if not messages:
        del errors["device_names"]


def _check_delta_devices(messages: list[str], known: dict[int, str], package: UpdatePackage) -> None:
    versions = ModuleVersion.objects.filter(device__in=known, module=package.module_id, version=package.source_version)
    right = set(versions.values_list("device", flat=True))
    wrong = [name for pk, name in known.items() if pk not in right]
    if wrong:
        messages.append(
            gettext("This delta package can only be installed on version %(version)s. Other devices: %(names)s.")
            % {"version": package.source_version, "names": _some(wrong)}
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES])
    rest = len(names) - _SHOWN_NAMES
    return shown if rest <= 0 else shown + " " + ngettext("and %(n)d more", "and %(n)d more", rest) % {"n": rest}


def check_versions(errors: Errors, request: LaunchRequest, package: UpdatePackage) -> None:
    """Versions to be updated, where the scope can carry them (vendor reference §2.2, §2.3)."""
    policy.check_source_versions(
        errors, request.source_versions, target_version=package.version, limit=policy.MAX_SOURCE_VERSIONS
    )
    if package.kind == UpdatePackage.Kind.DELTA and request.source_versions != (package.source_version,):
        errors["source_versions"].append(
            gettext("This delta package can only be installed on version %(version)s; choose exactly that one.")
            % {"version": package.source_version}
        )


def check_group(errors: Errors, found: Found, kind: DeviceGroup.Kind) -> None:
    """The group exists, belongs to the product and is of the right kind."""
    if found.group is None:
        errors["group"].append(gettext("Choose a group of this product."))
    elif found.group.kind != kind and kind == DeviceGroup.Kind.STATIC:
        errors["group"].append(gettext("A static batch needs a static group."))
    elif found.group.kind != kind:
        errors["group"].append(gettext("A dynamic batch needs a dynamic group."))


def check_same_modes(errors: Errors, request: LaunchRequest, group: DeviceGroup) -> None:
    """Dynamic batches of one group agree on overwriting and multi-module mode (vendor reference §2.3)."""
    others = Batch.objects.filter(group=group, selection=DYNAMIC, status=BatchStatus.IN_PROGRESS)
    modes = set(others.values_list("is_multi_module", "busy_policy"))
    if any(is_multi_module != request.is_multi_module for is_multi_module, _ in modes):
        errors["is_multi_module"].append(
            gettext("Another running dynamic batch of this group uses the other multi-module mode. They must be equal.")
        )
    if any(busy_policy != request.busy_policy for _, busy_policy in modes):
        errors["busy_policy"].append(
            gettext(
                "Another running dynamic batch of this group treats earlier updates in another way. They must be equal."
            )
        )


def check_review(fingerprint: str, counts: ScopeCounts) -> None:
    """Raises `Conflict` where others match than were reviewed, or more of them are busy (rules.md §4)."""
    message = {
        Since.NOTHING: "",
        Since.OTHER_DEVICES: gettext("The devices that match have changed since you reviewed them. Review again."),
        Since.MORE_BUSY: gettext(
            "More of the devices are busy with other updates than when you reviewed them. Review again."
        ),
    }[counts.since(fingerprint)]
    if message:
        raise Conflict("scope_changed", message)


def scope_of_request(request: LaunchRequest, found: Found) -> Scope:
    """Who would be in, before there is a batch."""
    package = found.package
    is_dynamic = request.selection == DYNAMIC and request.kind == Batch.Kind.UPDATE
    is_delta = package.kind == UpdatePackage.Kind.DELTA
    by_name = request.kind == Batch.Kind.VERIFY or request.target == Target.SPECIFIC
    group = found.group if is_dynamic or request.target == Target.GROUP else None
    return Scope(
        product_id=package.product_id,
        module_id=package.module_id,
        target_version=package.version,
        source_versions=(package.source_version,) if is_delta else tuple(sorted(request.source_versions)),
        device_list_id=found.device_list.pk if by_name and found.device_list else None,
        device_names=request.device_names if by_name and found.device_list is None and not is_dynamic else None,
        static_group_id=group.pk if group and not is_dynamic else None,
        group_filter=scopes.group_filter_of(group) if group and is_dynamic else None,
        gray_percent=request.gray_percent if request.target == Target.GRAY and not is_dynamic else None,
        busy_policy=request.busy_policy,
        is_multi_module=request.is_multi_module,
        is_later_only=is_dynamic and request.dynamic_mode == scopes.LATER_ONLY,
    )
