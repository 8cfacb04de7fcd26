"""What the console answers brokers and devices that ask it: log-in, topic rights, presence, dynamic registration."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from devices_app import access, ports
from devices_app.models import Device, Product
from devices_app.protocol.credentials import SERVER_USER, Login, password_of, registration_sign_of
from tests.clients import console_stub
from tests.factories import NOW, make_device, make_product
from tests.fakes import FakePublisher

pytestmark = pytest.mark.django_db
SECRET = "tests-share-this-with-the-broker"
SESSION = {"event": "connected", "session": "s1", "address": "10.0.0.7", "at": 1700000000000}


def ask(client: Client, path: str, body: object, secret: str = SECRET) -> Any:
    """The answer's JSON."""
    return client.post(path, body, content_type="application/json", headers={"X-Broker-Secret": secret}).json()


def log_in(product_key: str, device_name: str, secret: str) -> dict[str, str]:
    """As the C SDK would."""
    login = Login(product_key, device_name, f"{product_key}.{device_name}", "hmacsha256", "2524608000000")
    extra = "timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=3,signmethod=hmacsha256,ext=3,"
    password = (password_of(login, secret) or "").upper()
    return {
        "client_id": f"{login.client_id}|{extra}|",
        "username": f"{device_name}&{product_key}",
        "password": password,
        "address": "10.0.0.7",
    }


@pytest.fixture
def product() -> Product:
    return make_product(product_key=console_stub.PRODUCT_KEY, is_dynamic_registration_enabled=True)


@pytest.fixture
def device(product: Product) -> Device:
    return make_device(product, name="meter-1", secret=console_stub.secret_of("meter-1"))


@pytest.fixture
def publisher() -> Iterator[FakePublisher]:
    """Where presence events end up."""
    with wired(FakePublisher()) as fake:
        yield fake


@contextlib.contextmanager
def wired(fake: FakePublisher) -> Iterator[FakePublisher]:
    """This process publishes by the fake."""
    before = ports._Wiring.publisher
    access._forwarder._publisher = None
    ports.wire_publisher(lambda: fake)
    yield fake
    ports._Wiring.publisher = before
    access._forwarder._publisher = None


@pytest.mark.parametrize("path", ["/broker/auth", "/broker/acl", "/broker/presence"])
def test_only_a_broker_may_ask(client: Client, path: str) -> None:
    """403 without the shared secret or with another one, 400 without a JSON object, 405 for a GET."""
    for headers in ({}, {"X-Broker-Secret": "guess"}):
        assert client.post(path, {}, content_type="application/json", headers=headers).status_code == 403
    known = {"X-Broker-Secret": SECRET}
    for body in ("[]", "{", "1"):
        assert client.post(path, body, content_type="application/json", headers=known).status_code == 400
    assert client.get(path, headers=known).status_code == 405


@pytest.mark.parametrize("secret", ["", "wrong"])
def test_the_stub_of_the_client_tests_answers_as_the_console_does(client: Client, device: Device, secret: str) -> None:
    """Otherwise the tests of the embedded broker would prove nothing."""
    body = log_in(device.product.product_key, device.name, secret or device.secret)
    assert ask(client, "/broker/auth", body) == console_stub.answer(body)


def test_a_device_logs_in_and_is_named(client: Client, device: Device) -> None:
    """The broker keys its session by these names."""
    assert ask(client, "/broker/auth", log_in(device.product.product_key, device.name, device.secret)) == {
        "result": "allow",
        "is_superuser": False,
        "product_key": device.product.product_key,
        "device_name": "meter-1",
        "delivers_unasked": True,
    }


def test_a_disabled_device_is_refused(client: Client, device: Device) -> None:
    """Although it knows its secret."""
    Device.objects.filter(pk=device.pk).update(is_enabled=False)
    body = log_in(device.product.product_key, device.name, device.secret)
    assert ask(client, "/broker/auth", body) == {"result": "deny"}


@pytest.mark.parametrize(
    "change", [{"username": "nobody&a1B2c3D4e5F"}, {"username": 5}, {"password": None}, {"client_id": "x"}]
)
def test_what_does_not_fit_is_refused(client: Client, device: Device, change: dict[str, Any]) -> None:
    """An unknown device, wrong types, another client id than was signed."""
    body = log_in(device.product.product_key, device.name, device.secret) | change
    assert ask(client, "/broker/auth", body) == {"result": "deny"}


def test_gateways_and_publishers_know_the_brokers_secret(client: Client) -> None:
    """They may use all topics."""
    body = {"client_id": "gateway", "username": SERVER_USER, "password": SECRET}
    assert ask(client, "/broker/auth", body) == {"result": "allow", "is_superuser": True}
    assert ask(client, "/broker/auth", body | {"password": "guess"}) == {"result": "deny"}
    assert ask(client, "/broker/acl", {"username": SERVER_USER, "topic": "#", "action": "subscribe"}) == {
        "result": "allow"
    }


@pytest.mark.parametrize(
    ("topic", "action", "result"),
    [
        ("/ota/device/inform/pk01/meter-1", "publish", "allow"),
        ("/sys/pk01/meter-1/#", "subscribe", "allow"),
        ("/ota/device/inform/pk01/meter-2", "publish", "deny"),
        ("/sys/pk01/#", "subscribe", "deny"),
        ("/ota/device/inform/pk01/meter-1", "all", "deny"),
    ],
)
def test_a_device_may_use_its_own_topics_only(client: Client, topic: str, action: str, result: str) -> None:
    """The same rule that the embedded broker applies."""
    body = {"username": "meter-1&pk01", "topic": topic, "action": action}
    assert ask(client, "/broker/acl", body) == {"result": result}


def test_a_presence_event_is_handed_to_the_gateway_through_the_broker(client: Client, publisher: FakePublisher) -> None:
    """It changes nothing here, so that it stands in order with the device's messages."""
    headers = {"X-Broker-Secret": SECRET}
    body = SESSION | {"product_key": "pk01", "device_name": "meter-1"}
    answer = client.post("/broker/presence", body, content_type="application/json", headers=headers)
    assert answer.status_code == 202
    topic, payload, _ = publisher.sent[0]
    assert topic == "ota/presence/pk01/meter-1"
    assert json.loads(payload) == SESSION


def test_a_presence_event_without_a_broker_is_refused_for_now(client: Client) -> None:
    """So that the webhook tries again."""
    body = SESSION | {"product_key": "pk01", "device_name": "meter-1"}
    headers = {"X-Broker-Secret": SECRET}
    with wired(FakePublisher(capacity=0)):
        answer = client.post("/broker/presence", body, content_type="application/json", headers=headers)
    assert answer.status_code == 503


@pytest.mark.parametrize(
    "change", [{"device_name": "x"}, {"device_name": "a/b/c/d"}, {"event": "born"}, {"session": 5}]
)
def test_a_strange_presence_event_is_refused(client: Client, publisher: FakePublisher, change: dict[str, Any]) -> None:
    """And not handed on."""
    headers = {"X-Broker-Secret": SECRET}
    body = SESSION | {"product_key": "pk01", "device_name": "meter-1"} | change
    answer = client.post("/broker/presence", body, content_type="application/json", headers=headers)
    assert answer.status_code == 400
    assert publisher.sent == []


def sign(product: Product, name: str) -> str:
    """A device that knows the product's secret."""
    return (
        registration_sign_of(
            product_key=product.product_key,
            device_name=name,
            random="r1",
            product_secret=product.product_secret,
            sign_method="hmacsha256",
        )
        or ""
    )


def register_over_mqtt(client: Client, product: Product, name: str, signed: str = "") -> Any:
    body = {
        "client_id": f"{name}.{product.product_key}|random=r1,authType=register,securemode=2,signmethod=hmacsha256|",
        "username": f"{name}&{product.product_key}",
        "password": signed or sign(product, name),
    }
    return ask(client, "/broker/auth", body)


def register_over_http(client: Client, product: Product, name: str, signed: str = "") -> Any:
    fields = {"productKey": product.product_key, "deviceName": name, "random": "r1", "signMethod": "hmacsha256"}
    return client.post("/auth/register/device", fields | {"sign": signed or sign(product, name)}).json()


def test_a_new_device_registers_over_mqtt_and_can_log_in(client: Client, product: Product) -> None:
    """It is created, and its secret is published to that connection alone."""
    answer = register_over_mqtt(client, product, "newborn-1")
    assert answer["publish"]["topic"] == "/ext/register"
    told = json.loads(answer["publish"]["payload"])
    assert (told["productKey"], told["deviceName"]) == (product.product_key, "newborn-1")
    body = log_in(product.product_key, "newborn-1", told["deviceSecret"])
    assert ask(client, "/broker/auth", body)["result"] == "allow"


def test_a_device_that_exists_and_was_never_online_gets_its_secret(client: Client, product: Product) -> None:
    """Over HTTP as over MQTT, and as often as it asks until it has connected."""
    made = make_device(product, name="waiting-1", version="", is_online=False, activated_at=None)
    for _ in range(2):
        answer = register_over_http(client, product, "waiting-1")
        assert answer["code"] == 200
        assert answer["data"]["deviceSecret"] == made.secret


def refused(client: Client, product: Product, name: str, signed: str = "") -> bool:
    """Over both ways."""
    over_mqtt = register_over_mqtt(client, product, name, signed)
    over_http = register_over_http(client, product, name, signed)
    return over_mqtt == {"result": "deny"} and over_http["code"] == 403 and "data" not in over_http


def test_a_registration_is_refused_unless_the_product_allows_it(client: Client, product: Product) -> None:
    """It is off by default."""
    Product.objects.update(is_dynamic_registration_enabled=False)
    assert refused(client, product, "newborn-1")
    assert not Device.objects.exists()


def test_a_registration_with_a_wrong_sign_is_refused(client: Client, product: Product) -> None:
    """Nothing is created."""
    assert refused(client, product, "newborn-1", signed="0" * 64)
    assert not Device.objects.exists()


@pytest.mark.parametrize("name", ["x", "with space"])
def test_a_registration_under_an_impossible_name_is_refused(client: Client, product: Product, name: str) -> None:
    """Names are the vendor's: 4 to 32 characters."""
    assert refused(client, product, name)


def test_an_unknown_product_cannot_be_registered_for(client: Client, product: Product) -> None:
    """Nor an unnamed device."""
    assert refused(client, Product(product_key="other01", product_secret="s"), "newborn-1")
    assert register_over_http(client, product, "")["code"] == 403


@pytest.mark.parametrize("values", [{"activated_at": NOW}, {"activated_at": None, "is_enabled": False}])
def test_a_device_in_use_or_disabled_keeps_its_secret(client: Client, product: Product, values: dict[str, Any]) -> None:
    """The product's secret is known to the whole fleet and must not open a device."""
    make_device(product, name="in-use-1", **values)
    assert refused(client, product, "in-use-1")
