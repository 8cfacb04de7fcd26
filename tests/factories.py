"""Valid rows with defaults; a test states only what matters. Plain functions, no magic, names numbered in order."""

from datetime import UTC, datetime
from hashlib import md5, sha256
from itertools import count
from typing import Any

from django.core.files.base import ContentFile

from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.models import Batch, BatchCounts, FailureCount, PackageCounts, Task
from batches_app.transitions import STATUS_COLUMNS
from devices_app.models import DEFAULT_MODULE, Device, Module, ModuleVersion, Product
from ota_console.accounts.models import User
from ota_console.core.ids import new_public_id
from packages_app.models import PackageFile, UpdatePackage

NOW = datetime(2026, 3, 12, 3, 0, tzinfo=UTC)
SECRET = "0123456789abcdef0123456789abcdef"
_numbers = count(1)


def make_user(username: str = "operator", **values: Any) -> User:
    """A user who can sign in with the password "secret"."""
    return User.objects.create_user(username=username, password="secret", **values)


def make_product(**values: Any) -> Product:
    """A product with its default module."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "product_key": f"k1product{number}",
        "product_secret": SECRET,
        "name": f"Meter {number}",
        "created_at": NOW,
    }
    product = Product.objects.create(**(defaults | values))
    Module.objects.create(product=product, name=DEFAULT_MODULE, created_at=NOW)
    return product


def default_module(product: Product) -> Module:
    """The module that means the whole device."""
    return product.modules.get(name=DEFAULT_MODULE)


def make_device(product: Product, *, version: str = "1.0", **values: Any) -> Device:
    """An online device that reported a version of its default module; `version=""`: never reported."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "public_id": new_public_id(),
        "name": f"meter-{number:05d}",
        "secret": SECRET,
        "is_online": True,
        "session": f"s{number}",
        "activated_at": NOW,
        "last_seen_at": NOW,
        "created_at": NOW,
    }
    device = Device.objects.create(product=product, **(defaults | values))
    if version:
        set_version(device, version)
    return device


def make_devices(product: Product, how_many: int, *, version: str = "1.0", is_online: bool = True) -> list[Device]:
    """Many devices in a few statements."""
    rows = [
        Device(
            public_id=new_public_id(),
            product=product,
            name=f"meter-{next(_numbers):05d}",
            secret=SECRET,
            is_online=is_online,
            session="s",
            activated_at=NOW,
            last_seen_at=NOW,
            created_at=NOW,
        )
        for _ in range(how_many)
    ]
    devices = Device.objects.bulk_create(rows, batch_size=1000)
    module = default_module(product)
    if version:
        ModuleVersion.objects.bulk_create(
            [ModuleVersion(device=d, module=module, version=version, reported_at=NOW) for d in devices], batch_size=1000
        )
    return devices


def set_version(device: Device, version: str, module: Module | None = None) -> None:
    """What the device last reported."""
    ModuleVersion.objects.update_or_create(
        device=device,
        module=module or default_module(device.product),
        defaults={"version": version, "reported_at": NOW},
    )


def make_package(
    product: Product, *, version: str = "2.0", content: bytes = b"firmware", **values: Any
) -> UpdatePackage:
    """A full package of the default module that needs no verification, with one file."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "public_id": new_public_id(),
        "module": default_module(product),
        "name": f"package{number}",
        "version": version,
        "sign": md5(content, usedforsecurity=False).hexdigest(),
        "status": UpdatePackage.Status.VERIFICATION_NOT_REQUIRED,
        "created_at": NOW,
        "updated_at": NOW,
    }
    package = UpdatePackage.objects.create(product=product, **(defaults | values))
    PackageFile.objects.create(
        package=package,
        position=1,
        name="firmware.bin",
        size_bytes=len(content),
        md5=md5(content, usedforsecurity=False).hexdigest(),
        sha256=sha256(content).hexdigest(),
        file=ContentFile(content, name="firmware.bin"),
    )
    return package


def make_batch(package: UpdatePackage, **values: Any) -> Batch:
    """A running static batch over all devices, already launched, with empty counters."""
    defaults: dict[str, Any] = {
        "public_id": new_public_id(),
        "product": package.product,
        "module": package.module,
        "kind": Batch.Kind.UPDATE,
        "status": BatchStatus.IN_PROGRESS,
        "selection": Batch.Selection.STATIC,
        "target_version": package.version,
        "launch_state": Batch.LaunchState.DONE,
        "created_at": NOW,
        "updated_at": NOW,
        "started_at": NOW,
    }
    batch = Batch.objects.create(package=package, **(defaults | values))
    BatchCounts.objects.create(batch=batch)
    PackageCounts.objects.get_or_create(package=package)
    return batch


def make_task(batch: Batch, device: Device, status: TaskStatus = TaskStatus.QUEUED, **values: Any) -> Task:
    """A task in this state, counted; To Be Pushed ones of online devices are due."""
    facts: dict[str, Any] = {
        "public_id": new_public_id(),
        "device_name": device.name,
        "module": batch.module,
        "source_version": "1.0",
        "is_offline": not device.is_online,
        "timeout_minutes": batch.timeout_minutes,
        "created_at": NOW,
        "updated_at": NOW,
    }
    if status == TaskStatus.QUEUED and device.is_online and batch.needs_push:
        facts["due_at"] = NOW
    if status in (TaskStatus.NOTIFIED, TaskStatus.IN_PROGRESS):
        facts |= {"push_no": 1, "notified_at": NOW}
    if status == TaskStatus.IN_PROGRESS:
        facts |= {"progress": 0, "progress_at": NOW, "first_progress_at": NOW}
    if status >= TaskStatus.SUCCEEDED:
        facts["ended_at"] = NOW
    if status == TaskStatus.FAILED:
        facts["reason"] = Reason.UPDATE_FAILED
    task = Task.objects.create(batch=batch, device=device, status=status, **(facts | values))
    _count(task)
    return task


def _count(task: Task) -> None:
    for counts in (BatchCounts.objects.get(pk=task.batch_id), PackageCounts.objects.get(pk=task.batch.package_id)):
        names = [STATUS_COLUMNS[task.status]]
        names += ["queued_offline"] if task.status == TaskStatus.QUEUED and task.is_offline else []
        names += ["ever_notified"] if task.notified_at else []
        names += ["late_success"] if task.late_success_at else []
        names += ["rolled_back"] if task.rolled_back_at else []
        for name in names:
            setattr(counts, name, getattr(counts, name) + 1)
        counts.save(update_fields=names)
    if task.status == TaskStatus.FAILED:
        why: dict[str, Any] = {"batch": task.batch, "reason": task.reason, "source_version": task.source_version}
        failures, _ = FailureCount.objects.get_or_create(**why)
        failures.count += 1
        failures.save(update_fields=["count"])
