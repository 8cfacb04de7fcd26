"""Who may connect and use which topic: HTTP endpoints that brokers call.

The embedded broker asks for log-ins here; for rights and presence it calls the same pure functions itself.
Asynchronous, so that hundreds of devices that reconnect at once wait for the database and not for threads. They decide
and answer; they change nothing: presence goes the way of every device message, through the broker to the gateway, so
that the order per device holds. Request and answer are JSON; the broker shows `X-Broker-Secret`. Answers carry EMQX's
`result` words.
"""

import threading
from collections.abc import Callable, Coroutine
from functools import wraps
from itertools import count
from typing import Any, Final

import orjson
import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from devices_app.commands.register import Registration, register_device
from devices_app.models import Device
from devices_app.ports import Publisher, PublisherUnavailable, PushToken, open_publisher
from devices_app.protocol import credentials, topics
from devices_app.protocol.credentials import SERVER_USER, Login
from devices_app.protocol.parsing import parse_presence
from devices_app.protocol.payloads import Dropped, encode_presence, register_reply
from devices_app.protocol.topics import Action
from ota_console.core import clock
from ota_console.core.errors import Forbidden

ACKNOWLEDGE_SECONDS: Final = 5.0

Body = dict[str, Any]
"""Decoded JSON of a broker; values are checked before use."""
Hook = Callable[[Body], Coroutine[Any, Any, HttpResponse]]

DENY: Final = {"result": "deny"}
ACTIONS: Final = {action.value: action for action in Action}
log = structlog.get_logger(__name__)


def broker_hook(view: Hook) -> Callable[[HttpRequest], Coroutine[Any, Any, HttpResponse]]:
    """A view for brokers only, with a JSON object as its body: 403 without the secret, 400 without the object."""

    @login_not_required
    @csrf_exempt
    @require_POST
    @wraps(view)
    async def answer(request: HttpRequest) -> HttpResponse:
        secret = settings.BROKER_SECRET
        if not secret or not credentials.is_same_secret(secret, request.headers.get("X-Broker-Secret", "")):
            return JsonResponse(DENY, status=403)
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            return JsonResponse({"result": "deny", "reason": "The body must be a JSON object."}, status=400)
        return await view(body)

    return answer


@broker_hook
async def auth(body: Body) -> HttpResponse:
    """Log-in: `{"client_id", "username", "password"}`.

    An allowed device is named in the answer; `delivers_unasked` says that it gets its topics without a SUBSCRIBE. An
    allowed registration carries what to `publish` to that connection, which is good for nothing else.
    """
    client_id, username, password = _text(body, "client_id"), _text(body, "username"), _text(body, "password")
    if username == SERVER_USER:
        is_right = credentials.is_same_secret(settings.BROKER_SECRET, password)
        return JsonResponse({"result": "allow", "is_superuser": True} if is_right else DENY)
    login = credentials.parse_login(client_id, username)
    if login is None:
        return JsonResponse(DENY)
    if login.auth_type == credentials.REGISTER:
        return JsonResponse(await _register(login, password))
    refusal = await _refusal(login, password)
    if refusal:
        log.info("login_refused", product=login.product_key, device=login.device_name, reason=refusal)
        return JsonResponse(DENY)
    return JsonResponse(
        {
            "result": "allow",
            "is_superuser": False,
            "product_key": login.product_key,
            "device_name": login.device_name,
            "delivers_unasked": login.delivers_unasked,
        }
    )


@broker_hook
async def acl(body: Body) -> HttpResponse:
    """Topic right: `{"username", "topic", "action": "publish" | "subscribe"}`. Needs no database."""
    username, topic, action = _text(body, "username"), _text(body, "topic"), _text(body, "action")
    if username == SERVER_USER:
        return JsonResponse({"result": "allow"})
    device_name, _, product_key = username.partition("&")
    if action not in ACTIONS or not device_name or not product_key:
        return JsonResponse(DENY)
    is_allowed = topics.device_may(topic, product_key, device_name, ACTIONS[action])
    return JsonResponse({"result": "allow" if is_allowed else "deny"})


@broker_hook
async def presence(body: Body) -> HttpResponse:
    """`{"event", "product_key", "device_name", "session", "address", "at"}`: handed to the gateway through the broker.

    202 once the broker has acknowledged it, 503 if it did not: the broker's webhook should try again.
    """
    topic = topics.presence(_text(body, "product_key"), _text(body, "device_name"))
    subject = topics.classify(topic)
    event = parse_presence(orjson.dumps(body), *subject[1:]) if subject else None
    if event is None or isinstance(event, Dropped):
        return JsonResponse({"reason": "The event is not understood."}, status=400)
    payload = encode_presence(is_connect=event.is_connect, session=event.session, address=event.address, at=event.at)
    try:
        await sync_to_async(_forwarder.forward, thread_sensitive=False)(topic, payload)
    except PublisherUnavailable:
        return JsonResponse({"reason": "The broker does not take messages."}, status=503)
    return JsonResponse({}, status=202)


@login_not_required
@csrf_exempt
@require_POST
async def register(request: HttpRequest) -> HttpResponse:
    """Dynamic registration over HTTP (vendor reference §4.1). A refusal is HTTP 200 with another `code`."""
    form = request.POST
    registration = Registration(
        product_key=form.get("productKey", ""),
        device_name=form.get("deviceName", ""),
        random=form.get("random", ""),
        sign=form.get("sign", ""),
        sign_method=form.get("signMethod", ""),
    )
    try:
        secret = await sync_to_async(register_device)(registration=registration, now=clock.now())
    except Forbidden as error:
        return JsonResponse({"code": error.status, "message": error.message})
    data = {"productKey": registration.product_key, "deviceName": registration.device_name, "deviceSecret": secret}
    return JsonResponse({"code": 200, "data": data, "message": "success"})


async def _refusal(login: Login, password: str) -> str:
    """Why this device may not connect; empty if it may."""
    device = await Device.objects.filter(product__product_key=login.product_key, name=login.device_name).afirst()
    if device is None:
        return "unknown_device"
    if not credentials.is_password_right(login, password, device.secret):
        return "wrong_password"
    return "" if device.is_enabled else "disabled"


async def _register(login: Login, password: str) -> Body:
    """Dynamic registration over MQTT: the secret is published to this connection alone (interop.md 8)."""
    registration = Registration(
        product_key=login.product_key,
        device_name=login.device_name,
        random=login.random,
        sign=password,
        sign_method=login.sign_method,
    )
    try:
        secret = await sync_to_async(register_device)(registration=registration, now=clock.now())
    except Forbidden:
        return DENY
    payload = register_reply(login.product_key, login.device_name, secret).decode()
    return {"result": "allow", "is_superuser": False, "publish": {"topic": topics.REGISTER, "payload": payload}}


class _Forwarder:
    """This process's connection to the broker for presence events: opened when needed, thrown away when it fails."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._publisher: Publisher | None = None
        self._numbers = count(1)

    def forward(self, topic: str, payload: bytes) -> None:
        """Publish and wait for the acknowledgement. Raises PublisherUnavailable."""
        with self._lock:
            try:
                self._publisher = self._publisher or open_publisher()
                self._publish(self._publisher, topic, payload)
            except PublisherUnavailable:
                if self._publisher is not None:
                    self._publisher.close()
                self._publisher = None
                raise

    def _publish(self, publisher: Publisher, topic: str, payload: bytes) -> None:
        token = PushToken(0, next(self._numbers))
        publisher.publish(topic, payload, token)
        if token not in publisher.take_acknowledged(timeout_seconds=ACKNOWLEDGE_SECONDS):
            raise PublisherUnavailable("The broker did not acknowledge a presence event.")


_forwarder = _Forwarder()


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
