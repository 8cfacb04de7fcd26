"""Devices over the API: one, thousands, their numbers, their secrets."""

import pytest

from devices_app.models import Device
from tests.api import Api
from tests.factories import NOW, SECRET, make_device, make_devices, make_product, set_version


def test_a_device_is_created_with_a_generated_name_and_secret(api: Api) -> None:
    """Both are told once more when it is read."""
    created = api.post("devices/", product_key=make_product().product_key)
    assert created.status == 201
    read = api.get(f"devices/{created.body['id']}/").body
    assert (read["device_name"], read["device_secret"]) == (created.body["device_name"], created.body["device_secret"])
    assert len(read["device_secret"]) == 32
    assert (read["is_enabled"], read["is_online"], read["activated_at"]) == (True, False, None)


def test_a_moving_fleets_device_keeps_name_and_secret(api: Api) -> None:
    """rules.md §5."""
    key = make_product().product_key
    created = api.post("devices/", product_key=key, device_name="meter@7:x.y-z_", device_secret="0123456789abcdef")
    assert created.status == 201
    assert Device.objects.get().secret == "0123456789abcdef"


@pytest.mark.parametrize("name", ["abc", "x" * 33, "meter 1", "水表水表", "a/b/c", "meter\n"])
def test_a_wrong_device_name_is_named(api: Api, name: str) -> None:
    """4 to 32 characters of the allowed kinds."""
    errors = api.post("devices/", product_key=make_product().product_key, device_name=f"{name}!"[:33]).errors()
    assert errors == {"device_name": ["Use 4 to 32 letters, digits, and the characters - _ @ . :"]}


def test_a_device_name_exists_once_in_a_product(api: Api) -> None:
    """In another product it may exist as well."""
    device = make_device(make_product())
    again = api.post("devices/", product_key=device.product.product_key, device_name=device.name)
    assert again.errors() == {"device_name": ["This product has a device of this name."]}
    assert api.post("devices/", product_key=make_product().product_key, device_name=device.name).status == 201


def test_a_thousand_devices_are_created_in_one_request(api: Api) -> None:
    """A result for each row, in order."""
    rows = [{"device_name": f"meter-{number:04d}"} for number in range(1500)]
    answer = api.post("devices/bulk/", product_key=make_product().product_key, devices=rows)
    assert (answer.status, answer.body["created_count"], answer.body["failed_count"]) == (200, 1500, 0)
    assert [row["device_name"] for row in answer.body["results"]] == [row["device_name"] for row in rows]
    stored = dict(Device.objects.values_list("name", "secret"))
    assert stored == {row["device_name"]: row["device_secret"] for row in answer.body["results"]}


def test_a_wrong_row_does_not_keep_the_others(api: Api) -> None:
    """Each row says what became of it."""
    product = make_product()
    known = make_device(product, name="meter-0001")
    rows = [
        {"device_name": known.name},
        {"device_name": "no"},
        {"device_name": "meter-0002", "device_secret": "short"},
        {"device_name": "meter-0003"},
        {"device_name": "meter-0003"},
        {},
    ]
    answer = api.post("devices/bulk/", product_key=product.product_key, devices=rows).body
    assert [row["status"] for row in answer["results"]] == [
        "exists",
        "invalid",
        "invalid",
        "created",
        "exists",
        "created",
    ]
    assert [list(row["errors"]) for row in answer["results"]][1:3] == [["device_name"], ["device_secret"]]
    assert (answer["created_count"], answer["failed_count"], answer["results"][0]["device_secret"]) == (2, 4, "")
    assert Device.objects.count() == 3


@pytest.mark.parametrize("count", [0, 10_001])
def test_more_rows_than_a_request_takes_are_refused(api: Api, count: int) -> None:
    """10,000 at once, and at least one."""
    key = make_product().product_key
    assert list(api.post("devices/bulk/", product_key=key, devices=[{}] * count).errors()) == ["devices"]


def test_the_summary_counts_each_device_once(api: Api) -> None:
    """Online, offline and never connected add up to the total; disabled ones are among them."""
    product, other = make_product(), make_product()
    make_devices(product, 3)
    make_devices(product, 2, is_online=False)
    make_device(product, is_online=False, activated_at=None, is_enabled=False)
    make_device(other)
    expected = {"total": 6, "online": 3, "offline": 2, "never_connected": 1, "disabled": 1}
    assert api.get("devices/summary/", product_key=product.product_key).body == expected
    assert api.get("devices/summary/").body["total"] == 7
    assert list(api.get("devices/summary/", product="x").errors()) == ["product"]


def test_devices_are_found_by_product_key_and_name(api: Api) -> None:
    """Without their secrets, with what they reported."""
    device = make_device(make_product(), version="1.2.3")
    make_device(make_product(), name=device.name)
    (row,) = api.get("devices/", product_key=device.product.product_key, device_name=device.name).body["results"]
    assert (row["id"], row["device_name"]) == (device.public_id, device.name)
    assert row["versions"] == [
        {"module": "default", "version": "1.2.3", "previous_version": "", "reported_at": "2026-03-12T03:00:00Z"}
    ]
    assert "device_secret" not in row


def test_devices_are_filtered_by_state_and_version(api: Api) -> None:
    """The default module where none is named."""
    product = make_product()
    online, offline = make_device(product, version="1.0"), make_device(product, version="2.0", is_online=False)
    module = product.modules.create(name="radio", created_at=NOW)
    set_version(online, "7.0", module)

    def found(**query: str) -> list[str]:
        return [row["id"] for row in api.get("devices/", **query).body["results"]]

    assert found(is_online="true") == [online.public_id]
    assert found(version="2.0") == [offline.public_id]
    assert found(module="RADIO", version="7.0") == [online.public_id]
    assert found(module="radio", version="1.0") == []
    assert found(module="radio") == [online.public_id]
    assert found(is_enabled="false") == []


def test_a_device_is_disabled_and_enabled(api: Api) -> None:
    """Twice does no harm."""
    device = make_device(make_product())
    for verb, is_enabled in (("disable", False), ("disable", False), ("enable", True)):
        assert api.post(f"devices/{device.public_id}/{verb}/").body["is_enabled"] is is_enabled
    assert api.post(f"devices/{'x' * 26}/enable/").body["code"] == "device_unknown"


def test_a_secret_is_rotated(api: Api) -> None:
    """A given one or a generated one."""
    device = make_device(make_product())
    address = f"devices/{device.public_id}/rotate-secret/"
    generated = api.post(address).body["device_secret"]
    assert generated not in ("", SECRET)
    assert api.post(address, device_secret="given-by-us").body == {"device_secret": "given-by-us"}
    device.refresh_from_db()
    assert device.secret == "given-by-us"
    assert api.post(address, device_secret="ü" * 9).errors().keys() == {"device_secret"}


def test_pages_stay_stable_while_devices_come(api: Api) -> None:
    """Nobody is shown twice, nobody is left out."""
    product = make_product()
    known = [device.public_id for device in make_devices(product, 25)]
    first = api.get("devices/", page_size=10)
    make_devices(product, 5)
    second = api.follow(first.body["next"])
    third = api.follow(second.body["next"])
    seen = [row["id"] for page in (first, second, third) for row in page.body["results"]]
    assert seen == known[::-1]
    assert third.body["next"] is None
    assert api.follow(second.body["previous"]).body["results"] == first.body["results"]
