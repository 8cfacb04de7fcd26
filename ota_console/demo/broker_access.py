"""Who may log in to the embedded broker: an amqtt plugin that asks the console's endpoint, as any broker would.

It keeps what it was told in the session's attributes. Topic rights need no request: the endpoint and the broker call
the same pure rule, `devices_app.protocol.topics.device_may`.
"""

from dataclasses import dataclass
from typing import Any, Final

import httpx
import structlog
from amqtt.contexts import BaseContext
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from devices_app.protocol.credentials import SERVER_USER, is_same_secret

GRANT: Final = "ota_console.grant"
"""Session attribute: a `Grant` if the client may log in."""
UNAVAILABLE: Final = "ota_console.unavailable"
"""Session attribute: nobody answered, so the client should try again later."""
TIMEOUT_SECONDS: Final = 10.0
MAX_REQUESTS: Final = 16
"""Log-ins asked for at once: enough to keep the console busy, too few to flood it when a fleet reconnects."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a client may do. `key` names its session: a newer log-in with the same key takes over."""

    key: str
    is_server: bool = False
    product_key: str = ""
    device_name: str = ""
    delivers_unasked: bool = False
    answer: tuple[str, bytes] | None = None
    """Dynamic registration: topic and payload to send; the connection is good for nothing else."""

    @property
    def names(self) -> tuple[str, str]:
        """Product key and device name."""
        return self.product_key, self.device_name


class AccessPlugin(BaseAuthPlugin):
    """Loaded by its dotted path with the two values of `Config`."""

    @dataclass
    class Config:
        """Where to ask, and the secret that both sides know."""

        hook_url: str
        secret: str

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        limits = httpx.Limits(max_connections=MAX_REQUESTS, max_keepalive_connections=MAX_REQUESTS, keepalive_expiry=2)
        timeout = httpx.Timeout(TIMEOUT_SECONDS, pool=None)
        headers = {"X-Broker-Secret": self.config.secret}
        self._client = httpx.AsyncClient(
            base_url=self.config.hook_url, headers=headers, limits=limits, timeout=timeout, trust_env=False
        )

    async def authenticate(self, *, session: Session) -> bool | None:
        """True with a `Grant` in the session's attributes, else False."""
        if session.username == SERVER_USER:
            is_right = is_same_secret(self.config.secret, session.password or "")
            session.attributes[GRANT] = Grant(key=session.client_id or "", is_server=True)
            return is_right
        body = {
            "client_id": session.client_id or "",
            "username": session.username or "",
            "password": session.password or "",
            "address": session.remote_address or "",
        }
        try:
            response = await self._ask(body)
            grant = _grant(response.raise_for_status().json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("login_not_checked", username=session.username, error=repr(error))
            session.attributes[UNAVAILABLE] = True
            return False
        session.attributes[GRANT] = grant
        return grant is not None

    async def _ask(self, body: dict[str, str]) -> httpx.Response:
        """Once more on another connection: the console may close an idle one just as it is used."""
        try:
            return await self._client.post("/broker/auth", json=body)
        except httpx.TransportError:
            return await self._client.post("/broker/auth", json=body)

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()


def _grant(answer: dict[str, Any]) -> Grant | None:
    if answer["result"] != "allow":
        return None
    message = answer.get("publish")
    if message is not None:
        return Grant(key="", answer=(message["topic"], message["payload"].encode()))
    return Grant(
        key=f"{answer['device_name']}&{answer['product_key']}",
        product_key=answer["product_key"],
        device_name=answer["device_name"],
        delivers_unasked=answer["delivers_unasked"],
    )
