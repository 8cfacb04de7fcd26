"""What does not exist is not found, whatever is asked of it; what is taken or too much is named."""

from typing import Any

import pytest

from tests.api import Api
from tests.factories import make_product

NOBODY = "x" * 26


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PATCH", "products/nobody/", {"name": "Meter"}, "product_unknown"),
        ("PATCH", "products/nobody/", {}, "product_unknown"),
        ("DELETE", "products/nobody/", {}, "product_unknown"),
        ("GET", "modules/nobody/default/", {}, "module_unknown"),
        ("PATCH", "modules/nobody/default/", {"alias": "x"}, "module_unknown"),
        ("PATCH", "modules/nobody/default/", {}, "module_unknown"),
        ("DELETE", "modules/nobody/radio/", {}, "module_unknown"),
        ("POST", f"devices/{NOBODY}/disable/", {}, "device_unknown"),
        ("POST", f"devices/{NOBODY}/rotate-secret/", {}, "device_unknown"),
        ("DELETE", f"devices/{NOBODY}/", {}, "device_unknown"),
        ("GET", f"groups/{NOBODY}/members/", {}, "group_unknown"),
        ("POST", f"groups/{NOBODY}/members/", {"add": ["x"]}, "group_unknown"),
        ("PATCH", f"groups/{NOBODY}/", {"name": "north"}, "group_unknown"),
        ("DELETE", f"groups/{NOBODY}/", {}, "group_unknown"),
        ("PATCH", f"packages/{NOBODY}/", {"name": "x"}, "package_unknown"),
        ("DELETE", f"packages/{NOBODY}/", {}, "package_unknown"),
        ("GET", f"packages/{NOBODY}/files/1/", {}, "file_unknown"),
        ("GET", f"device-lists/{NOBODY}/bad-lines/", {}, "device_list_unknown"),
        ("GET", f"batches/{NOBODY}/", {}, "batch_unknown"),
        ("PATCH", f"batches/{NOBODY}/", {"tags": []}, "batch_unknown"),
        ("POST", f"batches/{NOBODY}/pause/", {}, "batch_unknown"),
        ("POST", f"batches/{NOBODY}/cancel/", {}, "batch_unknown"),
        ("POST", f"batches/{NOBODY}/cancel-tasks/", {"states": ["QUEUED"]}, "batch_unknown"),
        ("POST", f"batches/{NOBODY}/cancel-tasks/", {"tasks": ["x"]}, "batch_unknown"),
        ("GET", f"tasks/{NOBODY}/", {}, "task_unknown"),
    ],
)
def test_what_does_not_exist_is_not_found(api: Api, method: str, path: str, body: dict[str, Any], code: str) -> None:
    """404, and which thing it was."""
    call = {"GET": api.get, "DELETE": api.delete}.get(method)
    answer = call(path) if call else {"PATCH": api.patch, "POST": api.post}[method](path, **body)
    assert (answer.status, answer.body["code"]) == (404, code)


def test_a_product_cannot_take_anothers_name(api: Api) -> None:
    """When it is edited."""
    first, second = make_product(name="First"), make_product(name="Second")
    assert list(api.patch(f"products/{second.product_key}/", name=first.name).errors()) == ["name"]
    assert list(api.patch(f"products/{second.product_key}/", name="a b").errors()) == ["name"]


def test_a_modules_texts_have_limits(api: Api) -> None:
    """When it is made and when it is edited."""
    key = make_product().product_key
    made = api.post("modules/", product_key=key, name="radio", alias="a/b", description="d" * 101)
    assert made.errors().keys() == {"alias", "description"}
    assert api.patch(f"modules/{key}/default/", alias="a/b").errors().keys() == {"alias"}


def test_groups_are_made_for_products_that_exist(api: Api) -> None:
    """The field is named."""
    assert list(api.post("groups/", product_key="nobody", name="north").errors()) == ["product_key"]


def test_ten_thousand_members_at_once_are_the_most(api: Api) -> None:
    """Larger sets come in several requests."""
    group = api.post("groups/", product_key=make_product().product_key, name="north").body["id"]
    names = [f"meter-{number}" for number in range(10_001)]
    assert list(api.post(f"groups/{group}/members/", remove=names).errors()) == ["remove"]
    assert len(api.post(f"groups/{group}/members/", add=names[:10_000]).body["unknown"]) == 10_000
