"""Which WebSocket address reaches which consumer."""

from typing import Any

websocket_urlpatterns: list[Any] = []
