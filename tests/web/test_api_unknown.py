"""What does not exist is not found, whatever is asked of it; what is taken or too much is named."""

from typing import Any

import pytest

from packages_app.models import UpdatePackage
from tests.api import Api
from tests.factories import make_package, make_product

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


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("batches/", {"package": NOBODY}, "package"),
        ("batches/review/", {"package": NOBODY}, "package"),
        ("batches/", {"target": "GROUP", "group": NOBODY}, "group"),
        ("batches/", {"selection": "DYNAMIC", "group": NOBODY}, "group"),
        ("batches/", {"target": "SPECIFIC", "device_list": NOBODY}, "device_list"),
        ("batches/", {"target": "SPECIFIC", "device_names": ["nobody"]}, "device_names"),
        ("batches/", {"kind": "VERIFY", "device_names": ["nobody"]}, "device_names"),
        ("device-lists/", {"product_key": "nobody", "device_names": ["x"]}, "product_key"),
        ("devices/", {"product_key": "nobody"}, "product_key"),
        ("devices/bulk/", {"product_key": "nobody", "devices": [{}]}, "product_key"),
        ("groups/", {"product_key": "nobody", "name": "north"}, "product_key"),
        ("modules/", {"product_key": "nobody", "name": "radio"}, "product_key"),
    ],
)
def test_what_a_body_names_and_does_not_exist_is_a_mistake_in_its_field(
    api: Api, path: str, body: dict[str, Any], field: str
) -> None:
    """400: the address is right. Only what the address names is not found."""
    status = UpdatePackage.Status
    needs_verification = body.get("kind") == "VERIFY"
    package = make_package(
        make_product(), status=status.NOT_VERIFIED if needs_verification else status.VERIFICATION_NOT_REQUIRED
    )
    given = {"package": package.public_id, **body} if path == "batches/" else body
    answer = api.post(path, **given)
    assert answer.status == 400
    assert list(answer.errors()) == [field]


@pytest.mark.parametrize(("values", "field"), [({"product_key": "nobody"}, "product_key"), ({"module": "x"}, "module")])
def test_a_package_is_uploaded_for_what_exists(api: Api, values: dict[str, Any], field: str) -> None:
    """Multipart, with the same errors."""
    given = {"product_key": make_product().product_key, "name": "meter-fw", "version": "1.1", **values}
    answer = api.upload("packages/", {"a.bin": b"firmware"}, **given)
    assert (answer.status, list(answer.errors())) == (400, [field])


def test_ten_thousand_members_at_once_are_the_most(api: Api) -> None:
    """Larger sets come in several requests."""
    group = api.post("groups/", product_key=make_product().product_key, name="north").body["id"]
    names = [f"meter-{number}" for number in range(10_001)]
    assert list(api.post(f"groups/{group}/members/", remove=names).errors()) == ["remove"]
    assert len(api.post(f"groups/{group}/members/", add=names[:10_000]).body["unknown"]) == 10_000
