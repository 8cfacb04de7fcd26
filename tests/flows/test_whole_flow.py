"""The whole flow with real processes: twenty simulated devices, static and dynamic batches, every way to end.

A conflict, an overwrite, a retry, a time-out and each kind of cancel. What must come out is computed from the seeded
behaviour of the devices: the end states, every counter and every line of history.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from batches_app.domain.states import (
    CANCELED,
    FAILED,
    IN_PROGRESS,
    NOTIFIED,
    SUCCEEDED,
    BatchStatus,
    Reason,
    TaskStatus,
)
from batches_app.engine.sweep import end_deadlines
from batches_app.models import Batch, BatchCounts, FailureCount, PackageCounts, Task
from batches_app.sql.tasks import COUNT_COLUMNS
from batches_app.transitions import STATUS_COLUMNS
from devices_app.models import Device, Product
from devices_app.simulator.behaviour import Behaviour, Kind, behaviour
from ota_console.outbox.models import OutboxMessage
from packages_app.models import UpdatePackage
from tests.factories import make_device, make_package, make_product
from tests.flows.expectations import Ending, ended, ending, found, pushes
from tests.flows.rig import Rig, rig, servers_of_a_rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SEED = 13
"""Gives each kind of device, five of them deaf and two with a wrong version."""
SHARES = {
    Kind.SLOW: 8,
    Kind.OFFLINE: 8,
    Kind.UPDATE_FAILS: 7,
    Kind.DOWNLOAD_FAILS: 7,
    Kind.VERIFICATION_FAILS: 7,
    Kind.FLASHING_FAILS: 7,
    Kind.WRONG_VERSION: 12,
    Kind.IGNORES: 24,
}
FLEET = (
    *("--devices", "20", "--seed", str(SEED), "--speed", "10", "--initial-version", "1.0"),
    *(part for kind, percent in SHARES.items() for part in ("--share", f"{kind.value}={percent}")),
)
NAMES = tuple(f"flow-{number:02d}" for number in range(1, 21))
VERSIONS = ("1.1", "1.2", "1.3", "1.4")
on_both = pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])


@dataclass(slots=True)
class Story:
    """The fleet, and what each batch must end like."""

    rig: Rig
    product: Product
    devices: dict[str, Behaviour]
    packages: dict[str, UpdatePackage]
    expected: dict[str, dict[str, Ending]] = field(default_factory=dict)

    def launch(self, version: str, **values: Any) -> str:
        """Of the package with this version; the batch's public id, when all tasks are written."""
        batch = str(self.rig.post("batches/", package=self.packages[version].public_id, **values)["id"])
        self.rig.until(
            lambda: Batch.objects.get(public_id=batch).launch_state == Batch.LaunchState.DONE, "the launch ends"
        )
        return batch

    def of(self, *kinds: Kind) -> list[str]:
        return [name for name, device in self.devices.items() if device.kind in kinds]

    def statuses(self, batch: str) -> dict[str, TaskStatus]:
        rows = Task.objects.filter(batch__public_id=batch).values_list("device_name", "status")
        return {name: TaskStatus(status) for name, status in rows}

    def until_as_expected(self, batch: str, what: str) -> None:
        """Wait until every task of the batch stands where it must, with its last progress."""

        def stands() -> bool:
            tasks = Task.objects.filter(batch__public_id=batch)
            facts = {task.device_name: (task.status, task.attempt, task.progress) for task in tasks}
            return facts == {name: (e.status, e.attempt, e.progress) for name, e in self.expected[batch].items()}

        self.rig.until(stands, what, lambda: self.statuses(batch))

    def now_expect(self, batch: str, name: str, status: TaskStatus, reason: Reason, /, **detail: Any) -> None:
        self.expected[batch][name] = ended(self.expected[batch][name], status, reason, **detail)


@pytest.fixture
def story(database: str, transactional_db: None, tmp_path: Path) -> Iterator[Story]:
    """The fleet is online, one deaf device on 0.9, all others on 1.0."""
    product = make_product()
    devices = {name: behaviour(SEED, name, SHARES) for name in NAMES}
    odd = [name for name in NAMES if devices[name].kind is Kind.IGNORES][-1]
    for name in NAMES:
        version = "0.9" if name == odd else ""
        make_device(product, name=name, version=version, is_online=False, session="", activated_at=None)
    packages = {version: make_package(product, version=version, content=b"firmware" * 512) for version in VERSIONS}
    with ExitStack() as stack:
        is_embedded = database == "sqlite"
        more: dict[str, Any] = {} if is_embedded else stack.enter_context(servers_of_a_rig(tmp_path))
        fleet = FLEET if is_embedded else (*FLEET, "--subscribe")
        told = Story(stack.enter_context(rig(tmp_path / "stack", fleet=fleet, **more)), product, devices, packages)
        told.rig.until(
            lambda: Device.objects.filter(is_online=True, versions__isnull=False).count() == 20,
            "all are online",
        )
        yield told


def test_the_seed_gives_each_kind_of_device() -> None:
    """Otherwise the flow would show less than it says."""
    kinds = Counter(behaviour(SEED, name, SHARES).kind for name in NAMES)
    assert kinds.keys() == set(Kind)
    assert (kinds[Kind.IGNORES], kinds[Kind.WRONG_VERSION]) == (5, 2)


@on_both
def test_the_whole_flow(story: Story, database: str) -> None:
    """From the launch to the last canceled task; then everything is compared with what must have come out."""
    deaf = story.of(Kind.IGNORES)
    rollout = launch_a_static_and_a_dynamic_batch(story)
    dynamic = next(batch for batch in story.expected if batch != rollout)
    play_a_conflict(story, deaf[0], rollout)
    overwriting = play_an_overwrite(story, deaf[1], rollout)
    play_a_timeout_and_a_cancel_of_an_upgrading_device(story, rollout)
    cancel_ticked_devices_and_those_in_a_state(story, deaf, rollout)
    cancel_a_static_batch(story, deaf[1], overwriting)
    cancel_a_dynamic_batch_with_its_tasks(story, deaf)
    cancel_a_dynamic_policy_alone(story, deaf[4], dynamic)
    everything_is_as_expected(story)
    batches_end_as_they_must(story, rollout, dynamic)


def launch_a_static_and_a_dynamic_batch(story: Story) -> str:
    """Who is updated by the static batch is matched by the dynamic one, which is there first; retries included."""
    odd = story.of(Kind.IGNORES)[-1]
    dynamic = story.launch("1.3", selection="DYNAMIC", source_versions=["0.9", "1.1"])
    rollout = story.launch("1.1", source_versions=["1.0"], timeout_minutes=60, retry_interval_minutes=0, retry_count=1)
    story.expected[dynamic] = {
        name: ending(device, target="1.3")
        for name, device in story.devices.items()
        if device.ends_updated or name == odd
    }
    story.expected[rollout] = {
        name: ending(device, target="1.1", retries=1) for name, device in story.devices.items() if name != odd
    }
    story.until_as_expected(rollout, "the static batch runs")
    story.until_as_expected(dynamic, "the dynamic batch runs")
    return rollout


def play_a_conflict(story: Story, name: str, rollout: str) -> None:
    """A new batch for a device that has not ended the previous one fails at once (seed)."""
    batch = story.launch("1.2", target="SPECIFIC", device_names=[name])
    story.expected[batch] = {name: Ending(FAILED, Reason.CONFLICT)}
    story.until_as_expected(batch, "the conflict")
    task = Task.objects.get(batch__public_id=batch)
    assert task.blocker == Task.objects.get(batch__public_id=rollout, device_name=name)


def play_an_overwrite(story: Story, name: str, rollout: str) -> str:
    """Choose to overwrite the previous task (seed)."""
    batch = story.launch("1.2", target="SPECIFIC", device_names=[name], busy_policy="OVERWRITE")
    story.now_expect(rollout, name, CANCELED, Reason.OVERWRITTEN, batch=batch)
    story.expected[batch] = {name: ending(story.devices[name], target="1.2")}
    story.until_as_expected(batch, "the overwrite")
    return batch


def play_a_timeout_and_a_cancel_of_an_upgrading_device(story: Story, rollout: str) -> None:
    """One device is canceled while it is Upgrading; for the other the sweep runs with a clock an hour ahead."""
    slow, unwanted = story.of(Kind.WRONG_VERSION)
    upgrading = Task.objects.filter(batch__public_id=rollout, status=IN_PROGRESS)
    task = upgrading.get(device_name=unwanted)
    assert story.rig.post(f"tasks/{task.public_id}/cancel/")["status"] == "CANCELED"
    story.now_expect(rollout, unwanted, CANCELED, Reason.CANCELED_BY_OPERATOR, actor="operator")
    in_time = upgrading.get(device_name=slow).deadline_at
    assert in_time is not None
    end_deadlines(now=in_time - timedelta(seconds=1))
    assert upgrading.get().device_name == slow
    end_deadlines(now=in_time)
    story.now_expect(rollout, slow, FAILED, Reason.TIMEOUT)
    story.until_as_expected(rollout, "time-out and cancel")


def cancel_ticked_devices_and_those_in_a_state(story: Story, deaf: list[str], rollout: str) -> None:
    """Two ticked devices, then all that are Pushed."""
    ticked = [deaf[0], deaf[2]]
    assert story.rig.post(f"batches/{rollout}/cancel-tasks/", device_names=ticked)["task_count"] == 2
    for name in ticked:
        story.now_expect(rollout, name, CANCELED, Reason.CANCELED_BY_OPERATOR, actor="operator")
    states = ["CONFIRM", "QUEUED", "NOTIFIED"]
    assert story.rig.post(f"batches/{rollout}/cancel-tasks/", states=states)["task_count"] == 1
    story.now_expect(rollout, deaf[3], CANCELED, Reason.CANCELED_BY_OPERATOR)
    story.until_as_expected(rollout, "cancel by state")


def cancel_a_static_batch(story: Story, name: str, batch: str) -> None:
    """The batch and all its tasks (seed)."""
    assert story.rig.post(f"batches/{batch}/cancel/")["task_count"] == 1
    story.now_expect(batch, name, CANCELED, Reason.BATCH_CANCELED)
    story.until_as_expected(batch, "cancel of a static batch")


def cancel_a_dynamic_batch_with_its_tasks(story: Story, deaf: list[str]) -> None:
    """The policy and, as chosen, all ongoing tasks (seed). Who is on 1.0 and free has a task in it."""
    batch = story.launch("1.4", selection="DYNAMIC", source_versions=["1.0"])
    free = [name for name in deaf if name != deaf[4]]
    broken = story.of(Kind.UPDATE_FAILS, Kind.DOWNLOAD_FAILS, Kind.VERIFICATION_FAILS, Kind.FLASHING_FAILS)
    story.expected[batch] = {name: ending(story.devices[name], target="1.4") for name in (*free, *broken)}
    story.until_as_expected(batch, "a dynamic batch over current matches")
    story.rig.post(f"batches/{batch}/cancel/", include_ongoing=True)
    for name in free:
        story.now_expect(batch, name, CANCELED, Reason.BATCH_CANCELED)
    story.until_as_expected(batch, "cancel of a dynamic batch with its tasks")


def cancel_a_dynamic_policy_alone(story: Story, odd: str, batch: str) -> None:
    """Only the policy (seed): the ongoing task goes on, and can be canceled."""
    assert story.rig.post(f"batches/{batch}/cancel/")["task_count"] == 0
    assert Batch.objects.get(public_id=batch).status == BatchStatus.CANCELED
    assert story.statuses(batch)[odd] == NOTIFIED
    assert story.rig.post(f"batches/{batch}/cancel-tasks/", device_names=[odd])["task_count"] == 1
    story.now_expect(batch, odd, CANCELED, Reason.CANCELED_BY_OPERATOR, actor="operator")
    story.until_as_expected(batch, "cancel in an ended batch")


def everything_is_as_expected(story: Story) -> None:
    """States, reasons, attempts, pushes and every line of every history; every counter, and the recount of all."""
    for batch, devices in story.expected.items():
        tasks = {task.device_name: task for task in Task.objects.filter(batch__public_id=batch)}
        assert {name: found(task) for name, task in tasks.items()} == devices
        for task in tasks.values():
            every = set(range(1, task.push_no + 1))
            assert pushes(task) == sorted(pushes(task))
            assert every - set(pushes(task)) <= set(range(1, task.attempt + 1)), "only a failure overtakes a record"
        assert counted(BatchCounts.objects.get(batch__public_id=batch)) == counts(devices.values())
        assert failures(batch) == Counter(end.reason for end in devices.values() if end.status == FAILED)
    for version, package in story.packages.items():
        ends = [e for batch in Batch.objects.filter(package=package) for e in story.expected[batch.public_id].values()]
        assert counted(PackageCounts.objects.get(package=package)) == counts(ends), version
    recount = story.rig.manage("check_consistency")
    assert recount.returncode == 0, recount.stdout
    story.rig.until(lambda: not OutboxMessage.objects.filter(sent_at=None).exists(), "everything was told")


def counts(ends: Any) -> dict[str, int]:
    """The counters that these endings make."""
    found: Counter[str] = Counter()
    for end in ends:
        found[STATUS_COLUMNS[end.status]] += 1
        found["ever_notified"] += bool(end.push_no)
    return dict(+found)


def counted(row: BatchCounts | PackageCounts) -> dict[str, int]:
    return {name: value for name in COUNT_COLUMNS if (value := getattr(row, name))}


def failures(batch: str) -> Counter[Reason]:
    rows = FailureCount.objects.filter(batch__public_id=batch, count__gt=0)
    found: Counter[Reason] = Counter()
    for row in rows:
        found[Reason(row.reason)] += row.count
    return found


def batches_end_as_they_must(story: Story, rollout: str, dynamic: str) -> None:
    """Completed, or canceled where it was asked."""
    story.rig.until(lambda: not Batch.objects.filter(is_open=True).exists(), "every batch is closed")
    statuses = dict(Batch.objects.values_list("public_id", "status"))
    assert statuses[rollout] == BatchStatus.COMPLETED
    assert statuses[dynamic] == BatchStatus.CANCELED
    assert Counter(statuses.values()) == {BatchStatus.COMPLETED: 2, BatchStatus.CANCELED: 3}
    assert not Task.objects.filter(status__lt=SUCCEEDED).exists()
