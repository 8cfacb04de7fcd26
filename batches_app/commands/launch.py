"""Launch a batch: check every rule, write the batch's row, answer at once.

The tasks are written by `engine.launch` in slices. The request may count devices but never writes a row per device.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from batches_app import scope as scopes
from batches_app.commands import launch_rules as rules
from batches_app.commands.device_lists import create_device_list
from batches_app.commands.launch_request import LaunchRequest
from batches_app.commands.rows import invalid, note, replace_tags
from batches_app.domain import policy
from batches_app.domain.policy import Errors
from batches_app.domain.states import BatchStatus
from batches_app.models import Batch, BatchCounts, PackageCounts
from batches_app.scope import ScopeCounts
from devices_app.models import Device, DeviceGroup
from ota_console.audit.actor import Actor
from ota_console.core.ids import new_public_id
from ota_console.core.jobs import enqueue
from ota_console.outbox import commands as outbox
from ota_console.outbox import events
from packages_app.models import UpdatePackage

__all__ = ["LaunchRequest", "Launched", "Review", "check_launch", "launch_batch", "review_launch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """The batch exists; its tasks are being written."""

    batch_id: int
    public_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The dry run of a launch. `counts` is None while `errors` leave open who is meant."""

    errors: dict[str, list[str]]
    counts: ScopeCounts | None


def launch_batch(*, request: LaunchRequest, actor: Actor, now: datetime) -> Launched:
    """Create a verify, static or dynamic batch and start writing its tasks (rules.md §3, §4).

    Raises `Invalid` with `errors` per field of `LaunchRequest` ("package" where there is none, "device_names",
    "rate_factor" …; "" for the whole); `Conflict` with code `scope_changed` where `fingerprint` no longer holds,
    `package_not_launchable` where the package's status forbids it, and `dynamic_batch_running` where the package has a
    running dynamic batch.
    """
    with transaction.atomic():
        found = rules.find(request, lock=True)
        rules.check_package(request, found.package)
        errors = _check(request, found, now)
        if errors:
            raise invalid("launch_invalid", errors)
        _check_matches(request, found)
        batch = _create(request, found, actor, now)
        replace_tags(batch, request.tags)
        BatchCounts.objects.create(batch=batch)
        PackageCounts.objects.get_or_create(package=found.package)
        _mark_package(request, found.package, now)
        outbox.append(events=[events.batch_changed(batch=batch.public_id, package=found.package.public_id)], now=now)
        names = {
            "kind": request.kind.name,
            "selection": request.selection.name,
            "target": Batch.Target(batch.target).name,
        }
        note(batch, "batch.launch", actor=actor, now=now, detail=names)
        enqueue("batches_app.launch", batch.pk)
    return Launched(batch_id=batch.pk, public_id=batch.public_id)


def check_launch(*, request: LaunchRequest, now: datetime) -> dict[str, list[str]]:
    """The errors `launch_batch` would raise as `Invalid`, by field; empty where it would go through.

    For forms of several steps. An unknown package and a `Conflict` are raised as by `launch_batch`.
    """
    found = rules.find(request)
    rules.check_package(request, found.package)
    errors = _check(request, found, now)
    return invalid("launch_invalid", errors).errors if errors else {}


def review_launch(*, request: LaunchRequest, now: datetime) -> Review:
    """The dry run: mistakes so far, and who would be in (by the launch's own statement). Raises as `check_launch`."""
    found = rules.find(request)
    rules.check_package(request, found.package)
    errors = _check(request, found, now)
    is_open = errors.keys() & {"device_names", "device_list", "group", "gray_percent", "source_versions"}
    counts = None if is_open else scopes.count_scope(rules.scope_of_request(request, found))
    return Review(errors=invalid("launch_invalid", errors).errors if errors else {}, counts=counts)


def _check(request: LaunchRequest, found: rules.Found, now: datetime) -> Errors:
    errors = policy.new_errors()
    policy.check_title(errors, request.title)
    policy.check_tags(errors, request.tags)
    policy.check_timeouts(
        errors, timeout_minutes=request.timeout_minutes, notify_timeout_minutes=request.notify_timeout_minutes
    )
    rules.check_files(errors, request, found.package)
    if request.kind == Batch.Kind.VERIFY:
        _check_verify(errors, request, found)
        return errors
    _check_rollout(errors, request)
    if request.selection == Batch.Selection.DYNAMIC:
        _check_dynamic(errors, request, found)
    else:
        _check_static(errors, request, found, now)
    return errors


def _refuse_others(errors: Errors, request: LaunchRequest, names: tuple[str, ...], message: str) -> None:
    """Fields that this kind of batch does not have must stand at their defaults."""
    empty = LaunchRequest(package=request.package)
    for name in names:
        if getattr(request, name) != getattr(empty, name):
            errors[name].append(message)


def _check_verify(errors: Errors, request: LaunchRequest, found: rules.Found) -> None:
    _refuse_others(
        errors,
        request,
        (
            "device_list",
            "group",
            "source_versions",
            "gray_percent",
            "dynamic_mode",
            "schedule_at",
            "finish_at",
            "rate_kind",
            "rate",
            "retry_interval_minutes",
            "retry_count",
            "busy_policy",
            "is_multi_module",
        ),
        gettext("A verification cannot set this."),
    )
    rules.check_names(errors, request.device_names, found.package, limit=policy.MAX_VERIFY_DEVICES)


def _check_rollout(errors: Errors, request: LaunchRequest) -> None:
    policy.check_rate(errors, request.rate, is_variable=request.rate_kind == Batch.RateKind.VARIABLE)
    policy.check_retry(
        errors,
        interval_minutes=request.retry_interval_minutes,
        count=request.retry_count,
        timeout_minutes=request.timeout_minutes,
        has_source_versions=bool(request.source_versions),
    )
    if request.is_multi_module and request.busy_policy == Batch.BusyPolicy.OVERWRITE:
        errors["busy_policy"].append(gettext("Earlier updates cannot be overwritten in multi-module mode."))


def _check_dynamic(errors: Errors, request: LaunchRequest, found: rules.Found) -> None:
    _refuse_others(
        errors,
        request,
        ("target", "device_names", "device_list", "gray_percent", "schedule_at", "finish_at"),
        gettext("A dynamic batch cannot set this."),
    )
    if request.dynamic_mode not in (1, 2):
        errors["dynamic_mode"].append(gettext("Choose dynamic mode 1 or 2."))
    if bool(request.source_versions) == bool(request.group):
        errors["source_versions"].append(gettext("Choose either source versions or a dynamic group."))
    elif request.group:
        rules.check_group(errors, found, DeviceGroup.Kind.DYNAMIC)
        if found.group is not None:
            rules.check_same_modes(errors, request, found.group)
    else:
        rules.check_versions(errors, request, found.package)


def _check_static(errors: Errors, request: LaunchRequest, found: rules.Found, now: datetime) -> None:
    policy.check_schedule(errors, schedule_at=request.schedule_at, finish_at=request.finish_at, now=now)
    target = request.target
    _refuse_others(errors, request, ("dynamic_mode",), gettext("Only a dynamic batch has a dynamic mode."))
    if target != Batch.Target.SPECIFIC:
        message = gettext("Devices can only be named for the scope Selected devices.")
        _refuse_others(errors, request, ("device_names", "device_list"), message)
    if target != Batch.Target.GROUP:
        _refuse_others(errors, request, ("group",), gettext("A group can only be chosen for the scope Group."))
    if target != Batch.Target.GRAY:
        _refuse_others(errors, request, ("gray_percent",), gettext("Only a gray update has a percentage."))
    if target in (Batch.Target.ALL, Batch.Target.GRAY):
        rules.check_versions(errors, request, found.package)
    else:
        message = gettext("Source versions can only be chosen for all devices and for a gray update.")
        _refuse_others(errors, request, ("source_versions",), message)
    if target == Batch.Target.GRAY:
        policy.check_gray_percent(errors, request.gray_percent)
    if target == Batch.Target.GROUP:
        rules.check_group(errors, found, DeviceGroup.Kind.STATIC)
    if target == Batch.Target.SPECIFIC:
        _check_specific(errors, request, found)


def _check_specific(errors: Errors, request: LaunchRequest, found: rules.Found) -> None:
    if bool(request.device_names) == bool(request.device_list):
        errors["device_names"].append(gettext("Name devices or upload a device list, one of the two."))
    elif request.device_names:
        rules.check_names(errors, request.device_names, found.package, limit=policy.MAX_NAMES_IN_REQUEST)
    elif found.device_list is None:
        errors["device_list"].append(gettext("This device list does not exist for the product. Upload it again."))


def _check_matches(request: LaunchRequest, found: rules.Found) -> None:
    """A launch that matches nothing is refused (rules.md §3), and one that differs from what was reviewed (§4)."""
    scope = rules.scope_of_request(request, found)
    is_dynamic = request.kind == Batch.Kind.UPDATE and request.selection == Batch.Selection.DYNAMIC
    if request.fingerprint:
        rules.check_review(request.fingerprint, scopes.count_scope(scope))
    if not is_dynamic and not scopes.has_members(scope):
        message = gettext("No device matches this scope. Devices on the destination version are left out.")
        raise invalid("launch_invalid", {"": [message]})


def _create(request: LaunchRequest, found: rules.Found, actor: Actor, now: datetime) -> Batch:
    package = found.package
    is_verify = request.kind == Batch.Kind.VERIFY
    last = Device.objects.filter(product=package.product_id).order_by("-pk").values_list("pk", flat=True).first()
    return Batch.objects.create(
        public_id=new_public_id(now),
        package=package,
        product_id=package.product_id,
        module_id=package.module_id,
        title=request.title,
        kind=request.kind,
        selection=request.selection,
        target=Batch.Target.SPECIFIC if is_verify else request.target,
        status=BatchStatus.IN_PROGRESS if request.schedule_at is None else BatchStatus.PLANNED,
        dynamic_mode=request.dynamic_mode,
        source_versions=sorted(request.source_versions),
        gray_percent=request.gray_percent,
        group=found.group,
        device_list_id=_list_id(request, found, actor, now),
        target_version=package.version,
        launch_through=last or 0,
        created_by_id=actor.user_id,
        created_at=now,
        updated_at=now,
        started_at=now if request.schedule_at is None else None,
        **_policy_columns(request),
    )


def _list_id(request: LaunchRequest, found: rules.Found, actor: Actor, now: datetime) -> int | None:
    if found.device_list is not None:
        return found.device_list.pk
    if not request.device_names:
        return None
    key = found.package.product.product_key
    return create_device_list(product=key, names=request.device_names, actor=actor, now=now).device_list_id


def _policy_columns(request: LaunchRequest) -> dict[str, Any]:
    rate = request.rate
    return {
        "schedule_at": request.schedule_at,
        "finish_at": request.finish_at,
        "rate_kind": request.rate_kind,
        "rate_per_minute": rate.per_minute,
        "rate_base_per_minute": rate.base_per_minute,
        "rate_factor": None if rate.factor is None else Decimal(str(rate.factor)).quantize(Decimal("0.01")),
        "rate_notified_step": rate.notified_step,
        "rate_succeeded_step": rate.succeeded_step,
        "retry_interval_minutes": request.retry_interval_minutes,
        "retry_count": request.retry_count,
        "timeout_minutes": request.timeout_minutes,
        "notify_timeout_minutes": request.notify_timeout_minutes,
        "busy_policy": request.busy_policy,
        "is_multi_module": request.is_multi_module,
        "needs_push": request.needs_push,
        "needs_confirm": request.needs_confirm,
        "download_protocol": request.download_protocol,
    }


def _mark_package(request: LaunchRequest, package: UpdatePackage, now: datetime) -> None:
    """A package whose verify batch runs is being verified (vendor reference §1.4)."""
    if request.kind != Batch.Kind.VERIFY:
        return
    UpdatePackage.objects.filter(pk=package.pk).update(status=UpdatePackage.Status.VERIFYING, updated_at=now)
    outbox.append(events=[events.package_changed(package=package.public_id)], now=now)
