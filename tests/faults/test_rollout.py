"""Kill -9 in the middle of a batch, with real processes on PostgreSQL, Valkey and mosquitto.

Nothing a device said is lost, nothing is pushed beyond the pace, and every counter is right.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from batches_app.domain.states import FAILED, IN_PROGRESS, NOTIFIED, QUEUED, SUCCEEDED, Reason, TaskStatus
from batches_app.models import Batch, BatchCounts, Task
from devices_app.models import Device
from devices_app.simulator.behaviour import DEFAULT_SHARES, Behaviour, Kind, behaviour
from ota_console.core import clock
from tests import servers
from tests.factories import make_devices, make_package, make_product
from tests.faults.observer import Observer, observing
from tests.flows.expectations import Ending, ending, found
from tests.flows.rig import Rig, rig

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True), pytest.mark.slow]

SEED = 7


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[servers.Server]:
    with servers.mosquitto(tmp_path / "mosquitto") as server:
        yield server


@pytest.fixture
def observer(broker: servers.Server) -> Iterator[Observer]:
    with observing(broker.port) as seen:
        yield seen


def start_fleet(stack: ExitStack, folder: Path, broker: servers.Server, how_many: int, speed: int) -> Rig:
    """So many devices, online on 1.0, a quarter of them reporting at QoS 1 and the others at QoS 0."""
    make_devices(make_product(), how_many, version="", is_online=False)
    valkey = stack.enter_context(servers.valkey(folder / "valkey"))
    fleet = ("--devices", str(how_many), "--seed", str(SEED), "--speed", str(speed), "--subscribe")
    running = stack.enter_context(
        rig(
            folder / "stack",
            fleet=(*fleet, "--initial-version", "1.0"),
            redis_url=valkey.url,
            mqtt_url=broker.url,
        )
    )
    running.until(
        lambda: Device.objects.filter(is_online=True, versions__version="1.0").count() == how_many,
        "all are online",
    )
    return running


def launch(running: Rig, **values: object) -> Batch:
    product = Device.objects.select_related("product").latest("id").product
    package = make_package(product, version="2.0", content=b"firmware" * 512)
    answer = running.post("batches/", package=package.public_id, timeout_minutes=60, **values)
    return Batch.objects.get(public_id=answer["id"])


def behaviours(shares: Mapping[Kind, float] = DEFAULT_SHARES) -> dict[str, Behaviour]:
    return {name: behaviour(SEED, name, shares) for name in Device.objects.values_list("name", flat=True)}


def count(batch: Batch, *statuses: TaskStatus) -> int:
    return Task.objects.filter(batch=batch, status__in=statuses).count()


def is_settled(batch: Batch, expected: Mapping[str, Ending]) -> bool:
    rows = Task.objects.filter(batch=batch).values_list("device_name", "status")
    return dict(rows) == {name: end.status for name, end in expected.items()}


def test_gateway_and_workers_killed_in_the_middle_of_500_devices(
    broker: servers.Server, observer: Observer, tmp_path: Path
) -> None:
    """Devices report at QoS 0 and 1: nothing lost, nothing pushed beyond the pace, counters right."""
    per_minute = 1_800
    with ExitStack() as stack:
        running = start_fleet(stack, tmp_path, broker, 500, speed=20)
        batch = launch(running, rate_per_minute=per_minute)
        expected = {name: ending(device, target="2.0") for name, device in behaviours().items()}
        assert {device.qos for device in behaviours().values()} == {0, 1}
        for part, pushed_count in (("worker", 60), ("gateway", 120), ("dispatch", 240)):
            wait_for_pushes(running, observer, pushed_count)
            running.stack.kill_part(part)
        assert count(batch, QUEUED) > 0, "the kills came too late"
        running.until(lambda: is_settled(batch, expected), "every device ends", lambda: statuses(batch))
        assert running.manage("check_consistency").returncode == 0
    tasks = {task.device_name: task for task in Task.objects.filter(batch=batch)}
    assert {name: found(task)._replace(push_no=1) for name, task in tasks.items()} == expected
    assert all(1 <= observer.by_device[name] <= task.push_no for name, task in tasks.items())
    assert observer.most_within(60) <= per_minute
    assert observer.most_within(5) <= per_minute / 60 * 6.5
    assert BatchCounts.objects.get(batch=batch).ever_notified == 500


def wait_for_pushes(running: Rig, observer: Observer, pushed_count: int) -> None:
    running.until(lambda: len(observer.times) >= pushed_count, f"{pushed_count} pushes")


def statuses(batch: Batch) -> Counter[str]:
    found = Task.objects.filter(batch=batch).values_list("status", flat=True)
    return Counter(TaskStatus(status).name for status in found)


def test_a_broker_killed_in_the_middle_of_a_batch(broker: servers.Server, tmp_path: Path) -> None:
    """Devices reconnect and report; nothing stays stuck; counters are right. What only the broker had is lost with it.

    A device whose failure code was lost ends by its timer (its clock is put forward).
    """
    with ExitStack() as stack:
        running = start_fleet(stack, tmp_path, broker, 100, speed=5)
        batch = launch(running, rate_per_minute=1_200)
        running.until(lambda: count(batch, SUCCEEDED) >= 5 and count(batch, QUEUED) >= 5, "the middle of the batch")
        broker.child.kill()
        stack.enter_context(servers.mosquitto(tmp_path / "again", port=broker.port))
        devices = behaviours()
        updated = {name for name, device in devices.items() if device.ends_updated}
        deaf = {name for name, device in devices.items() if device.kind is Kind.IGNORES}
        running.until(lambda: names(batch, SUCCEEDED) == updated, "all report", lambda: statuses(batch))
        running.until(lambda: not names(batch, QUEUED, NOTIFIED) - deaf, "all are told", lambda: statuses(batch))
        broken = {name for name in devices if name not in updated | deaf}
        running.until(lambda: quiet(batch), "who could report has reported")
        Task.objects.filter(batch=batch, status=IN_PROGRESS).update(deadline_at=clock.now() - timedelta(seconds=1))
        running.until(lambda: names(batch, FAILED) == broken, "nothing stays stuck", lambda: statuses(batch))
        assert running.manage("check_consistency").returncode == 0
    for task in Task.objects.filter(batch=batch, status=FAILED):
        assert task.reason in {ending(devices[task.device_name], target="2.0").reason, Reason.TIMEOUT}


def names(batch: Batch, *states: TaskStatus) -> set[str]:
    return set(Task.objects.filter(batch=batch, status__in=states).values_list("device_name", flat=True))


def quiet(batch: Batch) -> bool:
    """No Upgrading device has said anything for a few steps of its download."""
    recent = clock.now() - timedelta(seconds=5)
    return not Task.objects.filter(batch=batch, status=IN_PROGRESS, progress_at__gte=recent).exists()
