"""Who looks, and in which words and times: what a socket's handshake says, checked against the database."""

import zoneinfo
from collections.abc import Mapping
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils.translation import get_supported_language_variant

from ota_console.accounts.models import User
from ota_console.live.reader import Locale

Scope = Mapping[str, Any]
"""The ASGI scope, as Channels' session and authentication middlewares leave it."""


async def is_signed_in(scope: Scope) -> bool:
    """The handshake's session still stands and its person may still sign in: asked again while the socket lives."""
    user, session = scope.get("user"), scope.get("session")
    if not isinstance(user, User) or session is None or session.session_key is None:
        return False
    return await database_sync_to_async(_is_session_of)(session.session_key, user.pk)


def _is_session_of(session_key: str, user_id: int) -> bool:
    is_same = SessionStore(session_key).get(SESSION_KEY) == str(user_id)
    return is_same and User.objects.filter(pk=user_id, is_active=True).exists()


def locale_of(scope: Scope) -> Locale:
    """The person's choice, else what the browser asks for; the same rules as for pages."""
    user = scope["user"]
    return Locale(user.language or _language_of_browser(scope), _known_zone(user.time_zone))


def _language_of_browser(scope: Scope) -> str:
    headers: list[tuple[bytes, bytes]] = scope.get("headers", [])
    accepted = next((value.decode("latin-1") for name, value in headers if name == b"accept-language"), "")
    for part in accepted.split(","):
        try:
            return get_supported_language_variant(part.partition(";")[0].strip())
        except LookupError:
            continue
    return settings.LANGUAGE_CODE


def _known_zone(name: str) -> str:
    wanted = name or settings.DISPLAY_TIME_ZONE
    return wanted if wanted in zoneinfo.available_timezones() else "UTC"
