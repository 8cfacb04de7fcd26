"""Batches over the API: launch of every kind, counts, edit, pause, cancel, filters.

This file is long because it is one thing: one resource, from its creation to its end.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from batches_app.domain.states import BatchStatus, TaskStatus
from batches_app.models import Batch, Task
from devices_app.models import Device, DeviceGroup
from ota_console.core import clock
from ota_console.core.ids import new_public_id
from packages_app.models import UpdatePackage
from tests.api import Answer, Api
from tests.campaign import carry_out_cancel, write_tasks
from tests.factories import NOW, make_batch, make_device, make_devices, make_package, make_product, make_task


@pytest.fixture
def package(db: None) -> UpdatePackage:
    """A package that may be launched, and five devices on 1.0."""
    package = make_package(make_product())
    make_devices(package.product, 5)
    return package


def launch(api: Api, package: UpdatePackage, **values: Any) -> Answer:
    return api.post("batches/", package=package.public_id, **values)


def written(answer: Answer) -> Batch:
    """The launched batch with all its tasks."""
    assert answer.status == 201, answer.body
    return write_tasks(Batch.objects.get(public_id=answer.body["id"]), clock.now())


def dynamic_group(package: UpdatePackage) -> DeviceGroup:
    return DeviceGroup.objects.create(
        public_id=new_public_id(),
        name="dynamic",
        kind=DeviceGroup.Kind.DYNAMIC,
        product=package.product,
        filter={"name_prefix": "meter-"},
        created_at=NOW,
    )


def test_a_static_batch_over_all_devices_is_launched(api: Api, package: UpdatePackage) -> None:
    """It answers at once; its counts follow the writing of its tasks."""
    answer = launch(api, package, title="All meters", rate_per_minute=600, tags=[{"key": "region", "value": "north"}])
    batch = written(answer)
    body = api.get(f"batches/{batch.public_id}/").body
    assert (body["kind"], body["selection"], body["target"], body["status"]) == (
        "UPDATE",
        "STATIC",
        "ALL",
        "IN_PROGRESS",
    )
    assert (body["package"], body["title"], body["rate_per_minute"]) == (package.public_id, "All meters", 600)
    assert body["tags"] == [{"key": "region", "value": "north"}]
    assert body["counts"] == {
        **dict.fromkeys(("CONFIRM", "NOTIFIED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "CANCELED"), 0),
        "QUEUED": 5,
    }
    assert (body["total_count"], body["to_be_pushed"]) == (5, {"scheduled": 0, "device_offline": 0, "plain": 5})
    assert body["launch"] == {"state": "DONE", "total_count": 5, "written_count": 5}
    assert (body["created_by"], body["cancel"]["requested_at"]) == ("operator", None)


def test_a_verify_batch_names_its_test_devices(api: Api, package: UpdatePackage) -> None:
    """A package that is not verified can be launched in no other way."""
    UpdatePackage.objects.update(status=UpdatePackage.Status.NOT_VERIFIED)
    names = sorted(device.name for device in package.product.devices.all())[:2]
    refused = launch(api, package)
    assert (refused.status, refused.body["code"]) == (409, "package_not_launchable")
    batch = written(launch(api, package, kind="VERIFY", device_names=names, timeout_minutes=60))
    assert sorted(batch.tasks.values_list("device_name", flat=True)) == names


def test_a_gray_batch_takes_a_share(api: Api, package: UpdatePackage) -> None:
    """floor(5 × 40 %) = 2, with a variable rate."""
    rate = {"rate_kind": "VARIABLE", "rate_per_minute": 100, "rate_base_per_minute": 10}
    steps = {"rate_factor": 1.5, "rate_notified_step": 10}
    answer = launch(api, package, target="GRAY", gray_percent="40", **rate, **steps)
    assert written(answer).tasks.count() == 2
    body = api.get(f"batches/{answer.body['id']}/").body
    assert (body["gray_percent"], body["rate_kind"], body["rate_factor"], body["rate_now_per_minute"]) == (
        "40.000",
        "VARIABLE",
        1.5,
        10,
    )


def test_a_group_batch_takes_the_members_of_a_static_group(api: Api, package: UpdatePackage) -> None:
    """The group by its id."""
    device = package.product.devices.first()
    assert device is not None
    group = api.post("groups/", product_key=package.product.product_key, name="north").body["id"]
    api.post(f"groups/{group}/members/", add=[device.name])
    answer = launch(api, package, target="GROUP", group=group)
    assert list(written(answer).tasks.values_list("device_id", flat=True)) == [device.pk]
    assert answer.body["group"] == group


def test_a_specific_batch_takes_a_device_list(api: Api, package: UpdatePackage) -> None:
    """As names, or as a file; what is left out can be downloaded."""
    names = sorted(device.name for device in package.product.devices.all())
    key = package.product.product_key
    listed = api.upload("device-lists/", {"names.csv": f"{names[0]}\nnobody\n".encode()}, field="file", product_key=key)
    assert (listed.status, listed.body["device_count"], listed.body["bad_line_count"]) == (201, 1, 1)
    bad = api.get(f"device-lists/{listed.body['id']}/bad-lines/")
    assert (bad.kind, b"nobody" in bad.body) == ("text/csv", True)
    answer = launch(api, package, target="SPECIFIC", device_list=listed.body["id"])
    assert list(written(answer).tasks.values_list("device_name", flat=True)) == names[:1]
    assert answer.body["device_list"] == listed.body["id"]
    assert api.post("device-lists/", product_key=key, device_names=names).body["device_count"] == 5


def test_dynamic_batches_go_by_version_or_by_group(api: Api, package: UpdatePackage) -> None:
    """One running dynamic batch per package."""
    answer = launch(api, package, selection="DYNAMIC", source_versions=["1.0"], dynamic_mode=2)
    assert (answer.status, answer.body["selection"], answer.body["dynamic_mode"]) == (201, "DYNAMIC", 2)
    again = launch(api, package, selection="DYNAMIC", source_versions=["1.0"])
    assert (again.status, again.body["code"]) == (409, "dynamic_batch_running")
    other = make_package(package.product)
    group = dynamic_group(package)
    assert launch(api, other, selection="DYNAMIC", group=group.public_id).body["group"] == group.public_id


def test_a_scheduled_batch_says_so(api: Api, package: UpdatePackage) -> None:
    """Its waiting tasks count as scheduled; times are UTC."""
    start = (clock.now() + timedelta(hours=1)).replace(microsecond=0)
    given = start.isoformat().replace("+00:00", "Z")
    finish = (start + timedelta(hours=2)).isoformat()
    batch = written(launch(api, package, schedule_at=given, finish_at=finish))
    body = api.get(f"batches/{batch.public_id}/").body
    assert (body["status"], body["schedule_at"]) == ("PLANNED", given)
    assert body["to_be_pushed"] == {"scheduled": 5, "device_offline": 0, "plain": 0}


def test_every_policy_field_arrives(api: Api, package: UpdatePackage) -> None:
    """What was asked is what is shown."""
    asked = {
        "source_versions": ["1.0"],
        "retry_interval_minutes": 10,
        "retry_count": 2,
        "timeout_minutes": 60,
        "notify_timeout_minutes": 5,
        "busy_policy": "LEAVE_OUT",
        "needs_push": False,
        "needs_confirm": True,
        "download_protocol": "MQTT",
    }
    body = launch(api, package, **asked).body
    assert {name: body[name] for name in asked} == asked
    assert launch(api, make_package(package.product), is_multi_module=True).status == 201


def test_mistakes_of_a_launch_are_named_by_field(api: Api, package: UpdatePackage) -> None:
    """All of them at once, in the words of the rules."""
    errors = launch(
        api,
        package,
        rate_per_minute=100_001,
        timeout_minutes=0,
        retry_interval_minutes=5,
        retry_count=3,
        source_versions=["1.0", "1.0"],
        tags=[{"key": "a b", "value": "c"}],
    ).errors()
    assert errors.keys() == {
        "rate_per_minute",
        "timeout_minutes",
        "retry_interval_minutes",
        "retry_count",
        "source_versions",
        "tags",
    }


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"kind": "BOTH"}, "kind"),
        ({"kind": 1}, "kind"),
        ({"retry_cuont": 1}, "retry_cuont"),
        ({"rate_per_minute": 1.5}, "rate_per_minute"),
        ({"rate_per_minute": 10**30}, "rate_per_minute"),
        ({"device_names": "meter-1"}, "device_names"),
        ({"tags": [{"key": "a"}]}, "tags.0.value"),
        ({"tags": {"a": "b"}}, "tags"),
        ({"schedule_at": "tomorrow"}, "schedule_at"),
        ({"gray_percent": "NaN"}, "gray_percent"),
        ({"rate_factor": "nan", "rate_kind": "VARIABLE"}, "rate_factor"),
        ({"dynamic_mode": 3}, "dynamic_mode"),
        ({"needs_push": "perhaps"}, "needs_push"),
    ],
)
def test_wrong_types_are_named_by_field(api: Api, package: UpdatePackage, values: dict[str, Any], field: str) -> None:
    """And misspelt fields."""
    assert field in launch(api, package, **values).errors()


def test_a_launch_after_the_fleet_changed_is_refused(api: Api, package: UpdatePackage) -> None:
    """The review's fingerprint travels with the launch."""
    review = api.post("batches/review/", package=package.public_id).body
    assert (review["errors"], review["counts"]["matched_count"]) == ({}, 5)
    make_device(package.product)
    answer = launch(api, package, fingerprint=review["counts"]["fingerprint"])
    assert (answer.status, answer.body["code"]) == (409, "scope_changed")


def test_a_launch_that_would_conflict_more_than_its_review_is_refused(api: Api, package: UpdatePackage) -> None:
    """The same devices match, but another batch holds them now."""
    review = api.post("batches/review/", package=package.public_id).body
    make_task(make_batch(make_package(package.product, version="3.0")), Device.objects.earliest("pk"))
    answer = launch(api, package, fingerprint=review["counts"]["fingerprint"])
    assert (answer.status, answer.body["code"]) == (409, "scope_changed")


def test_a_review_shows_mistakes_and_changes_nothing(api: Api, package: UpdatePackage) -> None:
    """It says who would be in wherever it can."""
    review = api.post("batches/review/", package=package.public_id, rate_per_minute=0).body
    assert list(review["errors"]) == ["rate_per_minute"]
    assert review["counts"]["device_count"] == 5
    assert not Batch.objects.exists()


def test_rate_values_and_tags_are_edited(api: Api, package: UpdatePackage) -> None:
    """Missing rate values stay; tags are replaced as a whole."""
    batch = make_batch(
        package, rate_kind=1, rate_per_minute=100, rate_base_per_minute=10, rate_factor=1.5, rate_notified_step=10
    )
    address = f"batches/{batch.public_id}/"
    edited = api.patch(address, rate_per_minute=200, tags=[{"key": "a", "value": "b"}]).body
    assert (edited["rate_per_minute"], edited["rate_base_per_minute"], edited["rate_factor"]) == (200, 10, 1.5)
    assert edited["tags"] == [{"key": "a", "value": "b"}]
    assert api.patch(address, tags=[]).body["tags"] == []
    assert list(api.patch(address, rate_factor=9).errors()) == ["rate_factor"]
    assert list(api.patch(address, timeout_minutes=5).errors()) == ["timeout_minutes"]


def test_dynamic_batches_edit_versions_and_time_out(api: Api, package: UpdatePackage) -> None:
    """Null takes the time-out away."""
    batch = make_batch(package, selection=1, source_versions=["1.0"], timeout_minutes=60)
    address = f"batches/{batch.public_id}/"
    edited = api.patch(address, source_versions=["1.1", "1.0"], timeout_minutes=None).body
    assert (edited["source_versions"], edited["timeout_minutes"]) == (["1.0", "1.1"], None)


def test_an_edit_over_somebody_elses_is_refused(api: Api, package: UpdatePackage) -> None:
    """Where the caller says what it saw."""
    batch = make_batch(package)
    address = f"batches/{batch.public_id}/"
    seen = api.get(address).body["updated_at"]
    assert api.patch(address, rate_per_minute=5, expected_updated_at=seen).status == 200
    answer = api.patch(address, rate_per_minute=6, expected_updated_at=seen)
    assert (answer.status, answer.body["code"]) == (409, "edited_meanwhile")


def test_a_batch_is_paused_and_resumed(api: Api, package: UpdatePackage) -> None:
    """Twice does no harm; an ended one is refused."""
    batch = make_batch(package)
    assert api.post(f"batches/{batch.public_id}/pause/").body["paused_at"] is not None
    assert api.post(f"batches/{batch.public_id}/pause/").status == 200
    assert api.post(f"batches/{batch.public_id}/resume/").body["paused_at"] is None
    ended = make_batch(package, status=BatchStatus.COMPLETED, is_open=False)
    answer = api.post(f"batches/{ended.public_id}/pause/")
    assert (answer.status, answer.body["code"]) == (409, "batch_not_upgrading")


def test_a_static_batch_is_canceled_with_all_its_tasks(api: Api, package: UpdatePackage) -> None:
    """In all four unfinished states (seed)."""
    batch = make_batch(package)
    states = (TaskStatus.CONFIRM, TaskStatus.QUEUED, TaskStatus.NOTIFIED, TaskStatus.IN_PROGRESS, TaskStatus.SUCCEEDED)
    for status, device in zip(states, package.product.devices.order_by("pk"), strict=True):
        make_task(batch, device, status)
    answer = api.post(f"batches/{batch.public_id}/cancel/")
    assert (answer.status, answer.body) == (202, {"id": batch.public_id, "task_count": 4})
    carry_out_cancel(batch, clock.now())
    body = api.get(f"batches/{batch.public_id}/").body
    assert (body["counts"]["CANCELED"], body["counts"]["SUCCEEDED"]) == (4, 1)
    again = api.post(f"batches/{batch.public_id}/cancel/")
    assert (again.status, again.body["code"]) == (409, "batch_ended")


@pytest.mark.parametrize(("include_ongoing", "canceled"), [(False, 0), (True, 1)])
def test_a_dynamic_batch_is_canceled_with_or_without_its_tasks(
    api: Api, package: UpdatePackage, *, include_ongoing: bool, canceled: int
) -> None:
    """By default only the policy (seed)."""
    batch = make_batch(package, selection=1, source_versions=["1.0"])
    device = package.product.devices.first()
    assert device is not None
    make_task(batch, device)
    answer = api.post(f"batches/{batch.public_id}/cancel/", include_ongoing=include_ongoing)
    assert answer.body["task_count"] == canceled
    carry_out_cancel(batch, clock.now())
    body = api.get(f"batches/{batch.public_id}/").body
    assert (body["status"], body["counts"]["CANCELED"]) == ("CANCELED", canceled)


def test_tasks_are_canceled_by_state(api: Api, package: UpdatePackage) -> None:
    """The batch goes on with the others."""
    batch = make_batch(package)
    for status, device in zip((TaskStatus.QUEUED, TaskStatus.IN_PROGRESS), package.product.devices.all(), strict=False):
        make_task(batch, device, status)
    answer = api.post(f"batches/{batch.public_id}/cancel-tasks/", states=["CONFIRM", "QUEUED", "NOTIFIED"])
    assert (answer.status, answer.body) == (202, {"task_count": 1, "results": []})
    carry_out_cancel(batch, clock.now())
    counts = api.get(f"batches/{batch.public_id}/").body["counts"]
    assert (counts["CANCELED"], counts["IN_PROGRESS"]) == (1, 1)


def test_single_tasks_are_canceled_by_device_name_or_id(api: Api, package: UpdatePackage) -> None:
    """A result for each, also for what cannot be canceled."""
    batch = make_batch(package)
    first, second, third, *_ = package.product.devices.order_by("pk")
    task = make_task(batch, first, TaskStatus.IN_PROGRESS)
    make_task(batch, second)
    address = f"batches/{batch.public_id}/cancel-tasks/"
    by_name = api.post(address, device_names=[second.name, third.name]).body
    assert [(row["device_name"], row["is_done"], row["code"]) for row in by_name["results"]] == [
        (second.name, True, ""),
        (third.name, False, "no_task"),
    ]
    by_id = api.post(address, tasks=[task.public_id, "x" * 26]).body
    assert (by_id["task_count"], by_id["results"][1]["code"]) == (1, "unknown_task")
    assert set(Task.objects.values_list("status", flat=True)) == {TaskStatus.CANCELED}


@pytest.mark.parametrize(
    "body", [{}, {"states": ["QUEUED"], "tasks": ["x"]}, {"states": ["SUCCEEDED"]}, {"states": []}, {"tasks": []}]
)
def test_exactly_one_way_to_cancel_tasks_is_given(api: Api, package: UpdatePackage, body: dict[str, Any]) -> None:
    """And it names something that can be canceled."""
    batch = make_batch(package)
    api.post(f"batches/{batch.public_id}/cancel-tasks/", **body).errors()


def test_batches_are_filtered_by_package_device_and_status(api: Api, package: UpdatePackage) -> None:
    """Names, not numbers; newest first."""
    first = make_batch(package)
    second = make_batch(make_package(package.product), status=BatchStatus.COMPLETED, is_open=False, kind=0)
    device = package.product.devices.first()
    assert device is not None
    make_task(second, device, TaskStatus.SUCCEEDED)

    def found(**query: Any) -> list[str]:
        return [row["id"] for row in api.get("batches/", **query).body["results"]]

    assert found() == [second.public_id, first.public_id]
    assert found(package=package.public_id) == [first.public_id]
    assert found(device=device.public_id) == [second.public_id]
    assert found(device_name=device.name, product_key=package.product.product_key) == [second.public_id]
    assert found(status=["COMPLETED", "CANCELED"]) == [second.public_id]
    assert found(kind="VERIFY", selection="STATIC") == [second.public_id]
    assert found(product_key="nobody") == []


def test_times_are_utc_whatever_the_persons_zone(api: Api, package: UpdatePackage) -> None:
    """A program compares them as they are."""
    batch = make_batch(package, created_at=datetime.fromisoformat("2026-03-12T03:00:00+00:00"))
    assert api.get(f"batches/{batch.public_id}/").body["created_at"] == "2026-03-12T03:00:00Z"
