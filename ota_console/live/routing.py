"""Which WebSocket address reaches which consumer."""

from typing import Any

from django.urls import path

from ota_console.live.consumers import LiveConsumer

websocket_urlpatterns: list[Any] = [
    path("ws/live/", LiveConsumer.as_asgi()),  # type: ignore[arg-type] # Channels' own way; path() expects a view
]
