"""Any input in any field of the API is answered, on both databases: accepted or refused, never with an error."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batches_app.models import Batch
from tests.api import Api
from tests.factories import make_batch, make_device, make_package, make_product, make_task, make_user

LISTS = ("products/", "modules/", "devices/", "groups/", "packages/", "batches/", "tasks/")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
FIELDS: dict[str, tuple[str, ...]] = {
    "products/": ("name", "product_key", "product_secret", "is_dynamic_registration_enabled"),
    "modules/": ("product_key", "name", "alias", "description"),
    "devices/": ("product_key", "device_name", "device_secret"),
    "devices/bulk/": ("product_key", "devices"),
    "groups/": ("product_key", "name", "kind", "filter", "description"),
    "device-lists/": ("product_key", "device_names"),
    "batches/": (
        *("kind", "title", "selection", "target", "device_names", "device_list", "group", "source_versions"),
        *("gray_percent", "dynamic_mode", "schedule_at", "finish_at", "rate_kind", "rate_per_minute", "rate_factor"),
        *("rate_base_per_minute", "rate_notified_step", "retry_interval_minutes", "retry_count", "timeout_minutes"),
        *("notify_timeout_minutes", "busy_policy", "is_multi_module", "needs_push", "download_protocol", "tags"),
        "fingerprint",
    ),
    "tasks/confirm/": ("tasks",),
    "tasks/reupgrade/": ("tasks",),
}
EDITS: dict[str, tuple[str, ...]] = {
    "batch": ("rate_per_minute", "rate_base_per_minute", "rate_factor", "tags", "source_versions", "timeout_minutes"),
    "cancel": ("include_ongoing",),
    "cancel-tasks": ("states", "device_names", "tasks"),
    "package": ("name", "description", "custom_info"),
    "rotate": ("device_secret",),
}


@pytest.fixture
def api(db: None) -> Api:
    return Api(make_user())


def with_some(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), json_values, max_size=4)


patient = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@pytest.mark.parametrize("path", FIELDS)
def test_any_json_in_any_field_is_answered(api: Api, path: str) -> None:
    """Accepted or refused, never an error of the server."""
    valid = {"product_key": make_product().product_key, "package": make_package(make_product()).public_id}

    @patient
    @given(with_some(FIELDS[path]))
    def check(body: dict[str, Any]) -> None:
        given = {name: value for name, value in valid.items() if name in FIELDS[path] or path == "batches/"}
        given.pop("product_key" if path == "batches/" else "package", None)
        answer = api.send("POST", path, json.dumps({**given, **body}).encode())
        assert answer.status < 500, (answer.status, body)

    check()


@pytest.mark.parametrize("what", EDITS)
def test_any_json_in_any_edit_is_answered(api: Api, what: str) -> None:
    """As above, for changes of what exists."""
    batch = make_batch(make_package(make_product()), selection=Batch.Selection.DYNAMIC, source_versions=["1.0"])
    device = make_device(batch.product)
    make_task(batch, device)
    calls: dict[str, tuple[str, str]] = {
        "batch": ("PATCH", f"batches/{batch.public_id}/"),
        "cancel": ("POST", f"batches/{batch.public_id}/cancel/"),
        "cancel-tasks": ("POST", f"batches/{batch.public_id}/cancel-tasks/"),
        "package": ("PATCH", f"packages/{batch.package.public_id}/"),
        "rotate": ("POST", f"devices/{device.public_id}/rotate-secret/"),
    }
    method, path = calls[what]

    @patient
    @given(with_some(EDITS[what]))
    def check(body: dict[str, Any]) -> None:
        answer = api.send(method, path, json.dumps(body).encode())
        assert answer.status < 500, (answer.status, body)

    check()


@pytest.mark.parametrize("path", LISTS)
def test_any_text_in_any_filter_is_answered(api: Api, path: str) -> None:
    """Filters of every list."""
    names = ("product_key", "name", "device_name", "device", "status", "kind", "version", "module", "batch", "package")

    @patient
    @given(st.dictionaries(st.sampled_from((*names, "cursor", "page_size", "is_online")), st.text(max_size=30)))
    def check(query: dict[str, str]) -> None:
        assert api.get(path, **query).status < 500

    check()
