"""The API describes itself, and what it says is true."""

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator

from batches_app.domain.states import BatchStatus, Reason, TaskStatus
from batches_app.models import Batch, TaskEvent
from packages_app.models import UpdatePackage
from tests.api import Api
from tests.factories import NOW, make_batch, make_device, make_package, make_product, make_task

pytestmark = pytest.mark.django_db
Operation = tuple[str, str, dict[str, Any]]


@cache
def description() -> dict[str, Any]:
    """As it is served to strangers."""
    answer = Client().get("/api/schema/", {"format": "json"})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations() -> Iterator[Operation]:
    for path, item in description()["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_the_description_is_valid_and_complete() -> None:
    """Nothing had to be guessed: not one warning."""
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_every_operation_says_what_it_does() -> None:
    """In one line, and in a sentence or two; under a heading."""
    for path, method, operation in operations():
        assert operation.get("summary"), (method, path)
        assert operation.get("description", "").endswith("."), (method, path)
        assert len(operation["tags"]) == 1, (method, path)


def test_every_operation_says_what_can_go_wrong() -> None:
    """As problem+json."""
    for path, method, operation in operations():
        expected = {"400", "401"} | ({"404"} if "{" in path else set()) | (set() if method == "get" else {"409"})
        assert expected <= operation["responses"].keys(), (method, path)
        for code in expected:
            assert "application/problem+json" in operation["responses"][code]["content"], (method, path)


def test_a_stranger_can_read_the_documents() -> None:
    """Swagger's page, with its own files instead of somebody else's server."""
    page = Client().get("/api/docs/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "drf_spectacular_sidecar" in text
    assert "https://" not in text.replace("https://ota", "")


def validator(operation: dict[str, Any], code: str) -> Draft202012Validator:
    """OpenAPI 3.0 as JSON Schema: `nullable` becomes a type."""
    (content,) = operation["responses"][code]["content"].values()
    schema = {**content["schema"], "components": description()["components"]}
    return Draft202012Validator(translated(schema))


def translated(schema: Any) -> Any:
    """Also forbids what is not described."""
    if isinstance(schema, list):
        return [translated(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: translated(value) for name, value in schema.items() if name != "nullable"}
    if found.get("type") == "object" and "properties" in found and "additionalProperties" not in found:
        found["additionalProperties"] = False
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found


def full_batch(package: UpdatePackage) -> Batch:
    """With no field empty that may be filled."""
    return make_batch(
        package,
        status=BatchStatus.COMPLETED,
        target=Batch.Target.GRAY,
        gray_percent=5,
        rate_kind=1,
        rate_per_minute=100,
        rate_base_per_minute=10,
        rate_factor=1.5,
        rate_notified_step=5,
        timeout_minutes=60,
        retry_interval_minutes=10,
        retry_count=1,
        schedule_at=NOW,
        finish_at=NOW + timedelta(hours=1),
        paused_at=NOW,
        ended_at=NOW,
    )


def fill() -> dict[str, str]:
    """One of everything, with as many empty fields as can be, and one with as few; the ids by name of the list."""
    product = make_product()
    device, idle = make_device(product), make_device(product, version="", activated_at=None, last_seen_at=None)
    package = make_package(product)
    plain = make_batch(package, started_at=None)
    full = full_batch(package)
    full.tags.create(position=1, key="a", value="b")
    make_task(plain, idle)
    task = make_task(full, device, TaskStatus.FAILED, reason=Reason.DOWNLOAD_FAILED, progress=5, deadline_at=None)
    TaskEvent.objects.create(task=task, at=NOW, kind=0, status=0, detail={"step": 1})
    return {
        "products": product.product_key,
        "devices": device.public_id,
        "packages": package.public_id,
        "batches": full.public_id,
        "tasks": task.public_id,
    }


def test_every_answer_is_as_described(api: Api) -> None:
    """Every list and every single thing: no field more, none less, null only where it says so."""
    ids = fill()
    product = ids["products"]
    group = api.post("groups/", product_key=product, name="north", kind="DYNAMIC", filter={"name_prefix": "m"}).body[
        "id"
    ]
    ids |= {"groups": group, "modules": f"{product}/default"}
    checked = set()
    for path, method, operation in operations():
        room = path.removeprefix("/api/v1/").partition("/")[0]
        is_one = path.endswith(("{id}/", "{product_key}/", "{name}/"))
        if method != "get" or room not in ids or not (is_one or "{" not in path):
            continue
        address = f"{room}/{ids[room]}/" if is_one else path.removeprefix("/api/v1/")
        validator(operation, "200").validate(api.get(address).body)
        checked.add(path)
    assert len(checked) == 15


def test_problems_are_as_described(api: Api) -> None:
    """With the field at fault."""
    (operation,) = [item for path, method, item in operations() if (path, method) == ("/api/v1/products/", "post")]
    answer = api.post("products/", name="x")
    validator(operation, "400").validate(answer.body)
    assert (answer.body["field"], answer.body["type"], answer.body["status"]) == ("name", "about:blank", 400)
