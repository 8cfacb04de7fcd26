"""The launch form, its review, the verification, and the list of devices."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from batches_app.commands import review
from batches_app.models import Batch, DeviceList
from devices_app.models import Device
from packages_app.models import UpdatePackage
from tests.factories import make_batch, make_device, make_devices, make_package, make_product, make_task
from tests.pages import DIALOG, HTMX, Console

DEFAULTS = {
    "step": "review",
    "selection": "0",
    "target": "0",
    "when": "now",
    "rate_kind": "0",
    "busy_policy": "0",
    "needs_push": "on",
    "download_protocol": "HTTPS",
    "timeout_minutes": "60",
}


@pytest.fixture
def package() -> UpdatePackage:
    package = make_package(make_product(), version="2.0")
    make_devices(package.product, 4)
    make_device(package.product, version="2.0")
    return package


def address(package: UpdatePackage, page: str = "launch/") -> str:
    return f"/ota/packages/{package.public_id}/{page}"


def asked(**values: Any) -> dict[str, Any]:
    return DEFAULTS | values


def test_the_review_shows_who_is_in_and_why_the_others_are_not(console: Console, package: UpdatePackage) -> None:
    """Nothing is sent before the launch."""
    page = console.post(address(package), asked(rate_constant="600"))
    assert "Nothing has been sent. If you launch, 4 devices get 2.0, starting at once, at 600 per minute." in page.text
    assert "Devices in this scope 5 Already on 2.0 − 1 Show the devices Will be updated 4" in page.text
    assert not Batch.objects.exists()


def test_the_launch_is_what_was_reviewed(console: Console, package: UpdatePackage) -> None:
    """With its fingerprint, rate, tags and policy."""
    sent = asked(step="launch", rate_constant="600", tag_key=["wave"], tag_value=["3"], source_versions=["1.0"])
    sent |= {"retry_interval_minutes": "0", "retry_count": "2", "needs_confirm": "on"}
    answer = console.post(address(package), sent)
    batch = Batch.objects.get()
    assert answer.location == f"/ota/batches/{batch.public_id}/devices/"
    assert (batch.rate_per_minute, batch.retry_count, batch.timeout_minutes, batch.needs_confirm) == (600, 2, 60, True)
    assert (batch.source_versions, batch.tags.get().key) == (["1.0"], "wave")


def test_a_fleet_that_changed_since_the_review_is_reviewed_again(console: Console, package: UpdatePackage) -> None:
    """Nothing is sent; the page says how many more or fewer (design §6)."""
    make_device(package.product)
    sent = asked(step="launch", fingerprint="of-before", reviewed="8")
    page = console.post(address(package), sent)
    assert "3 devices fewer than you reviewed. Nothing has been sent. Review again." in page.text
    assert not Batch.objects.exists()


def test_devices_that_became_busy_since_the_review_are_reviewed_again(console: Console, package: UpdatePackage) -> None:
    """Nothing is sent; the page says why it asks, and shows the conflicts."""
    page = console.post(address(package), asked(step="review"))
    reviewed = re.search(r'name="fingerprint" value="([^"]+)"', page.html)
    assert reviewed is not None
    other = make_batch(make_package(package.product, version="3.0"))
    make_task(other, Device.objects.filter(product=package.product).earliest("pk"))
    page = console.post(address(package), asked(step="launch", fingerprint=reviewed[1]))
    assert "More of the devices are busy with other updates than when you reviewed them. Review again." in page.text
    assert Batch.objects.get() == other
    again = re.search(r'name="fingerprint" value="([^"]+)"', page.html)
    assert again is not None
    assert console.post(address(package), asked(step="launch", fingerprint=again[1])).location


def test_going_back_keeps_what_was_typed(console: Console, package: UpdatePackage) -> None:
    """Every field of the form stands as before."""
    page = console.post(
        address(package), asked(step="form", target="2", gray_percent="12.5", tag_key="a", tag_value="b")
    )
    assert 'value="12.5"' in page.html
    assert 'name="tag_key" value="a"' in page.html
    assert 'name="target" value="2" checked' in page.html


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"rate_constant": "0"}, "Enter a rate of 1 to 100,000 devices per minute"),
        ({"target": "2"}, "Enter a percentage above 0 and up to 100."),
        ({"target": "1"}, "Name devices or upload a device list"),
        ({"target": "1", "device_names": "nobody-here"}, "nobody-here"),
        ({"timeout_minutes": "2000"}, "Enter a time-out of 1 to 1,440 minutes"),
        ({"when": "scheduled", "schedule_at": "2020-01-01T00:00:00"}, "The update must start 5 minutes to 7 days"),
        ({"rate_kind": "1", "rate_base_per_minute": "5"}, "A variable rate needs a highest rate per minute."),
        ({"selection": "1"}, "Choose either source versions or a dynamic group."),
        ({"tag_key": "a_b", "tag_value": "c"}, "A tag key has 1 to 30 characters"),
        ({"is_multi_module": "on", "busy_policy": "1"}, "cannot be overwritten in multi-module mode"),
    ],
)
def test_what_is_wrong_is_said_in_the_form_and_nothing_is_sent(
    console: Console, package: UpdatePackage, values: dict[str, str], sentence: str
) -> None:
    """With the sentences of the rules."""
    page = console.post(address(package), asked(step="launch", **values))
    assert (page.status, sentence in page.text) == (422, True), page.text
    assert not Batch.objects.exists()


def test_named_devices_may_come_as_a_file(console: Console, package: UpdatePackage) -> None:
    """What is no device of the product is left out and can be downloaded (rules.md §4)."""
    known = package.product.devices.first()
    assert known is not None
    file = SimpleUploadedFile("list.csv", f"{known.name}\nstranger-1\n".encode())
    page = console.post(address(package), asked(target="1", device_file=file))
    assert "1 device gets 2.0" in page.text
    made = DeviceList.objects.get()
    assert f'name="device_list" value="{made.public_id}"' in page.html
    csv = console.get(f"/ota/device-lists/{made.public_id}/left-out.csv")
    assert "stranger-1" in csv.html
    console.post(address(package), asked(step="launch", target="1", device_list=made.public_id))
    assert Batch.objects.get().device_list == made


def test_busy_devices_can_be_left_out_from_the_review(console: Console, package: UpdatePackage) -> None:
    """By default they fail at once (seed); the review offers the alternatives (design §9)."""
    busy = package.product.devices.first()
    assert busy is not None
    make_task(make_batch(make_package(package.product)), busy)
    page = console.post(address(package), asked())
    assert "If you launch, 3 devices get 2.0" in page.text
    would_fail = "Would fail at once: unfinished update in another batch Overwrite them · Leave them out − 1"
    assert f"{would_fail} Show the devices Will be updated 3" in page.text
    assert "Launch to 3 devices" in page.text
    assert "24 bytes in total" in page.text
    page = console.post(address(package), asked(busy_policy=["0", "2"]))
    assert "Will be updated 3" in page.text


def test_a_gray_review_says_between_which_numbers_chance_decides(console: Console, package: UpdatePackage) -> None:
    """Whom a gray update chooses is known at the launch only."""
    for device in package.product.devices.order_by("pk")[:3]:
        make_task(make_batch(make_package(package.product)), device)
    page = console.post(address(package), asked(target="2", gray_percent="50"))
    assert "If you launch, 0 to 1 device gets 2.0" in page.text
    assert "− 1 to 2 Show the devices Will be updated 0 to 1" in page.text


def test_a_launch_that_would_update_nobody_is_not_offered(console: Console, package: UpdatePackage) -> None:
    """All would fail at once; the page says what to do."""
    for device in package.product.devices.all():
        make_task(make_batch(make_package(package.product)), device)
    page = console.post(address(package), asked())
    assert "No device would be updated: all of them have an unfinished update." in page.html
    assert 'value="launch"' not in page.html


def test_each_count_of_the_review_opens_its_list(
    console: Console, package: UpdatePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the statement that counted, a page at a time; without a script the review comes back with the list open."""
    monkeypatch.setattr(review, "PAGE_SIZE", 2)
    *others, on_target = package.product.devices.order_by("pk")
    busy, *free = others
    make_task(make_batch(make_package(package.product)), busy)
    for part, found in {"on_target": on_target, "conflict": busy}.items():
        dialog = console.post(address(package), asked(list=part), DIALOG)
        assert ("<html" in dialog.html, re.findall(r"meter-\d+", dialog.text)) == (False, [found.name])
    first = console.post(address(package), asked(list="updated"))
    assert ("Nothing has been sent." in first.text, "Devices that will be updated" in first.text) == (True, True)
    after = re.search(r'value="(updated:\d+)"', first.html)
    assert after is not None
    second = console.post(address(package), asked(list=after[1]), HTMX)
    assert re.findall(r"meter-\d+", second.text) == [free[2].name]


def test_one_device_more_is_said_in_the_singular(console: Console, package: UpdatePackage) -> None:
    """Not "1 devices"."""
    page = console.post(address(package), asked(step="launch", fingerprint="of-before", reviewed="3"))
    assert "1 device more than you reviewed." in page.text


def test_the_versions_hint_is_that_of_the_method(console: Console, package: UpdatePackage) -> None:
    """A dynamic update without a tick is refused, so nothing else is promised."""
    page = console.post(address(package), asked(step="form", selection="1"))
    assert '<span data-if="selection=0" hidden>' in page.html
    assert '<span data-if="selection=1">Tick 1 to 10.' in page.html


def test_the_form_counts_the_matching_devices_while_it_is_filled(console: Console, package: UpdatePackage) -> None:
    """By the launch's own statement; an unfinished form shows a dash."""
    assert "Would be updated now 4" in console.post(address(package, "launch/matching/"), asked(), HTMX).text
    assert (
        "Would be updated now 2"
        in console.post(address(package, "launch/matching/"), asked(target="2", gray_percent="50"), HTMX).text
    )
    assert "Would be updated now –" in console.post(address(package, "launch/matching/"), asked(target="2"), HTMX).text


def test_a_dynamic_batch_is_launched_for_versions(console: Console, package: UpdatePackage) -> None:
    """Without schedule and scope of a static one, whatever the hidden fields say."""
    sent = asked(
        step="launch", selection="1", dynamic_by="versions", dynamic_mode="1", source_versions=["1.0"], target="2"
    )
    console.post(address(package), sent)
    batch = Batch.objects.get()
    assert (batch.selection, batch.target, batch.gray_percent) == (Batch.Selection.DYNAMIC, Batch.Target.ALL, None)


def test_a_package_that_is_not_verified_cannot_be_launched(console: Console) -> None:
    """The form says why."""
    package = make_package(make_product(), status=UpdatePackage.Status.NOT_VERIFIED)
    make_device(package.product)
    page = console.post(address(package), asked())
    assert page.status == 409
    assert "erif" in page.text
    assert not Batch.objects.exists()


def test_verification_takes_ticked_and_typed_devices(console: Console) -> None:
    """Each once; the package is then Verifying."""
    package = make_package(make_product(), status=UpdatePackage.Status.NOT_VERIFIED)
    names = [device.name for device in make_devices(package.product, 3)]
    page = console.get(address(package, "verify/"))
    assert all(name in page.text for name in names)
    data = {"device_names": [names[0], f"{names[1]}, {names[0]}"], "needs_push": "on", "timeout_minutes": "5"}
    answer = console.post(address(package, "verify/"), data)
    batch = Batch.objects.get()
    assert answer.location == f"/ota/batches/{batch.public_id}/devices/"
    assert (batch.kind, batch.timeout_minutes, batch.device_list and batch.device_list.device_count) == (0, 5, 2)
    package.refresh_from_db()
    assert package.status == UpdatePackage.Status.VERIFYING


def test_a_verification_without_devices_is_refused(console: Console) -> None:
    """With the sentence at its field."""
    package = make_package(make_product(), status=UpdatePackage.Status.NOT_VERIFIED)
    page = console.post(address(package, "verify/"), {"download_protocol": "HTTPS"})
    assert page.status == 422
    assert not Batch.objects.exists()


def test_devices_are_listed_by_presence(console: Console) -> None:
    """Online, offline, never connected and disabled add up and filter."""
    product = make_product()
    online = make_device(product)
    offline = make_device(product, is_online=False)
    fresh = make_device(product, is_online=False, activated_at=None, version="")
    disabled = make_device(product, is_enabled=False)
    found = {"online": online, "offline": offline, "never": fresh, "disabled": disabled}
    for presence, device in found.items():
        assert device.name in console.get(f"/devices/?presence={presence}").text
    page = console.get("/devices/?presence=never")
    assert (fresh.name in page.text, online.name in page.text) == (True, False)
    assert "not reported" in page.text
    assert "No device matches these filters." in console.get("/devices/?q=nobody").text
