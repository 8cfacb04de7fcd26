"""Device groups over the API."""

import pytest

from tests.api import Api
from tests.factories import make_batch, make_device, make_devices, make_package, make_product


def create(api: Api, **values: object) -> str:
    answer = api.post("groups/", **values)
    assert answer.status == 201, answer.body
    return str(answer.body["id"])


def members(api: Api, group: str) -> list[str]:
    return sorted(row["device_name"] for row in api.get(f"groups/{group}/members/").body["results"])


def test_devices_come_into_a_static_group_and_leave_it(api: Api) -> None:
    """By name; repeating a request does no harm; unknown names are told."""
    product = make_product()
    first, second, _ = make_devices(product, 3)
    group = create(api, product_key=product.product_key, name="north")
    address = f"groups/{group}/members/"
    added = api.post(address, add=[first.name, second.name, "nobody"]).body
    assert added == {"added_count": 2, "removed_count": 0, "unknown": ["nobody"]}
    assert api.post(address, add=[first.name, first.name]).body["added_count"] == 0
    assert api.post(address, remove=[first.name]).body["removed_count"] == 1
    assert members(api, group) == [second.name]


def test_devices_of_another_product_cannot_come_in(api: Api) -> None:
    """They count as unknown."""
    group = create(api, product_key=make_product().product_key, name="north")
    stranger = make_device(make_product())
    assert api.post(f"groups/{group}/members/", add=[stranger.name]).body["unknown"] == [stranger.name]


@pytest.mark.parametrize(
    ("group_filter", "names"),
    [
        ({"name_prefix": "north-"}, ["north-1", "north-2"]),
        ({"versions": ["1.0"]}, ["north-1", "south-1"]),
        ({"name_prefix": "north-", "module": "default", "versions": ["2.0", "3.0"]}, ["north-2"]),
        ({"module": "radio"}, []),
    ],
)
def test_a_dynamic_group_holds_who_fits_its_filter(api: Api, group_filter: dict[str, object], names: list[str]) -> None:
    """All given parts must fit; the prefix is compared exactly."""
    product = make_product()
    for name, version in (("north-1", "1.0"), ("north-2", "2.0"), ("NORTH-3", ""), ("south-1", "1.0")):
        make_device(product, name=name, version=version)
    make_device(make_product(), name="north-9")
    group = create(api, product_key=product.product_key, name="dynamic", kind="DYNAMIC", filter=group_filter)
    assert members(api, group) == names


@pytest.mark.parametrize(
    ("kind", "group_filter"),
    [
        ("DYNAMIC", {}),
        ("STATIC", {"name_prefix": "north-"}),
        ("DYNAMIC", {"name_prefix": "north/"}),
        ("DYNAMIC", {"module": "a b"}),
        ("DYNAMIC", {"versions": ["1 0"]}),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(api: Api, kind: str, group_filter: dict[str, object]) -> None:
    """Under its field."""
    answer = api.post("groups/", product_key=make_product().product_key, name="north", kind=kind, filter=group_filter)
    assert list(answer.errors()) == ["filter"]


def test_a_group_is_edited_part_by_part(api: Api) -> None:
    """A filter is replaced as a whole."""
    product = make_product()
    whole = {"name_prefix": "north-", "versions": ["1.0"]}
    group = create(api, product_key=product.product_key, name="north", kind="DYNAMIC", filter=whole)
    assert api.patch(f"groups/{group}/", description="Up there").body["filter"] == whole
    edited = api.patch(f"groups/{group}/", filter={"name_prefix": "n-"}, name="upper").body
    assert (edited["name"], edited["filter"], edited["description"]) == ("upper", {"name_prefix": "n-"}, "Up there")


def test_group_names_are_unique(api: Api) -> None:
    """When made and when edited."""
    key = make_product().product_key
    create(api, product_key=key, name="north")
    other = create(api, product_key=key, name="south")
    assert list(api.post("groups/", product_key=key, name="north").errors()) == ["name"]
    assert list(api.patch(f"groups/{other}/", name="north").errors()) == ["name"]


def test_the_members_of_a_dynamic_group_cannot_be_listed_by_hand(api: Api) -> None:
    """Its filter decides."""
    key = make_product().product_key
    group = create(api, product_key=key, name="north", kind="DYNAMIC", filter={"name_prefix": "n-"})
    assert api.post(f"groups/{group}/members/", add=["x"]).body["code"] == "group_is_dynamic"


def test_a_group_that_a_batch_was_launched_for_stays(api: Api) -> None:
    """Its history names it."""
    product = make_product()
    group = create(api, product_key=product.product_key, name="north")
    used = create(api, product_key=product.product_key, name="south")
    row = product.groups.get(public_id=used)
    make_batch(make_package(product), group=row, target=3)
    assert api.delete(f"groups/{used}/").body["code"] == "group_in_use"
    assert api.delete(f"groups/{group}/").status == 204
    assert api.get(f"groups/{group}/").status == 404


def test_groups_are_listed_by_kind_and_product(api: Api) -> None:
    """Kinds by their names."""
    key = make_product().product_key
    create(api, product_key=key, name="north")
    dynamic = create(api, product_key=key, name="south", kind="DYNAMIC", filter={"module": "default"})
    rows = api.get("groups/", kind="DYNAMIC", product_key=key).body["results"]
    assert [row["id"] for row in rows] == [dynamic]
    assert list(api.get("groups/", kind="0").errors()) == ["kind"]
