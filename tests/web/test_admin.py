"""The admin shows every model and changes none of ours."""

from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.authtoken.models import Token

from batches_app.domain.states import Reason, TaskStatus
from batches_app.models import DeviceList, DeviceListEntry, MatchRequest, Task, TaskEvent
from devices_app.models import DeviceGroup, DeviceLogEntry, DropCount, GroupMember, Product
from ota_console.audit.models import AuditEntry
from ota_console.core.ids import new_public_id
from ota_console.core.models import Lease
from ota_console.gateway.models import AppliedEntry
from ota_console.outbox.models import OutboxMessage
from ota_console.web.admin import MOST_ROWS, BoundedPaginator
from tests.factories import NOW, SECRET, make_batch, make_device, make_package, make_product, make_task, make_user

pytestmark = pytest.mark.django_db
OURS = ("devices_app", "packages_app", "batches_app", "ota_console", "outbox", "audit", "core")
MODELS = [model for label in OURS for model in apps.get_app_config(label).get_models()]


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(make_user("admin", is_staff=True, is_superuser=True))
    return client


def fill(number: int) -> None:
    """A row of each model."""
    product = make_product()
    device, package = make_device(product), make_package(product)
    batch = make_batch(package)
    batch.tags.create(position=1, key="a", value="b")
    task = make_task(batch, device, TaskStatus.FAILED, reason=Reason.TIMEOUT)
    TaskEvent.objects.create(task=task, at=NOW, kind=0, status=0)
    listed = DeviceList.objects.create(public_id=new_public_id(), product=product, created_at=NOW)
    DeviceListEntry.objects.create(device_list=listed, device=device)
    MatchRequest.objects.create(device=device, module=package.module, requested_at=NOW)
    group = DeviceGroup.objects.create(
        public_id=new_public_id(), name=f"group{number}", product=product, created_at=NOW
    )
    GroupMember.objects.create(group=group, device=device)
    DeviceLogEntry.objects.create(device=device, at=NOW, reason="bad_json")
    DropCount.objects.create(reason=f"reason{number}", last_at=NOW)
    AuditEntry.objects.create(at=NOW, actor_name="x", action="x", target_type="x", target_id="x")
    Lease.objects.create(name=f"lease{number}", holder="x", expires_at=NOW)
    AppliedEntry.objects.create(token="x", fingerprints=b"x")
    OutboxMessage.objects.create(events=[], created_at=NOW)


def address(model: type[Model], page: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def test_every_model_is_registered() -> None:
    """Nothing in the database is hidden from the superuser."""
    assert [model for model in MODELS if not admin.site.is_registered(model)] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_lists_and_rows_can_be_read_and_searched(client: Client, model: type[Model]) -> None:
    """With the same number of queries for one row and for five."""
    fill(0)
    with CaptureQueriesContext(connection) as one:
        assert client.get(address(model, "changelist")).status_code == 200
    for number in range(1, 5):
        fill(number)
    with CaptureQueriesContext(connection) as five:
        assert client.get(address(model, "changelist")).status_code == 200
    assert len(five) == len(one)
    assert client.get(address(model, "changelist"), {"q": "x"}).status_code == 200
    row = model._default_manager.first()
    assert row is not None
    assert client.get(address(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_nothing_can_be_added_changed_or_deleted(client: Client, model: type[Model]) -> None:
    """State is moved by commands alone."""
    fill(0)
    row = model._default_manager.first()
    assert row is not None
    assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(model, "change", row.pk), {}).status_code == 403
    assert client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_secrets_are_not_shown(client: Client) -> None:
    """Neither a product's nor a device's."""
    fill(0)
    product = Product.objects.get()
    for row in (product, product.devices.get()):
        assert SECRET not in client.get(address(type(row), "change", row.pk)).content.decode()


def test_tokens_are_listed_without_their_keys_and_cannot_be_changed(client: Client) -> None:
    """Who reads a key may use it; a token made here would be one that nobody was asked a password for."""
    token = Token.objects.create(user=make_user("program"))
    shown = client.get(reverse("admin:authtoken_tokenproxy_changelist"), {"q": "program"})
    assert shown.status_code == 200
    assert "program" in shown.content.decode()
    assert token.key not in shown.content.decode()
    assert client.get(reverse("admin:authtoken_tokenproxy_add")).status_code == 403
    for page in ("change", "delete"):
        address = reverse(f"admin:authtoken_tokenproxy_{page}", args=[token.user_id])
        assert client.post(address, {"user": token.user_id, "post": "yes"}).status_code in (302, 403)
    assert Token.objects.get() == token


def test_a_token_is_revoked_by_the_command_that_the_docs_name(client: Client) -> None:
    """The old one is refused at once."""
    old = Token.objects.create(user=make_user("program"))
    call_command("drf_create_token", "--reset", "program", stdout=StringIO())
    answer = client.get("/api/v1/products/", headers={"Authorization": f"Token {old.key}"})
    assert answer.status_code == 401
    assert Token.objects.get().key != old.key


def test_only_people_and_groups_can_be_added_in_the_admin(client: Client) -> None:
    """Everything else is read-only for now."""
    addable = {
        model.__name__
        for model in admin.site._registry
        if client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")).status_code == 200
    }
    assert addable == {"User", "Group"}


def test_a_long_list_is_not_counted_to_its_end() -> None:
    """The database is asked for no more rows than can be paged through."""
    fill(0)
    with CaptureQueriesContext(connection) as queries:
        assert BoundedPaginator(Task.objects.order_by("-id"), 50).count == 1
    assert f"LIMIT {MOST_ROWS}" in queries[0]["sql"]


def test_an_operator_does_not_come_in() -> None:
    """The admin is for staff."""
    client = Client()
    client.force_login(make_user())
    assert client.get("/admin/").status_code == 302
