"""Tells the live pages what changed: which batches and packages, not how. Whoever watches one reads its facts himself.

So a frame is always true, a lost or doubled message costs nothing, and a thousand events of one batch are one message.
Must not read facts.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypedDict

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from ota_console.outbox.events import Event

OVERVIEW: Final = "overview"
"""The group of pages that list several batches or packages."""
MOST_NAMES: Final = 200
"""Ids in one message to the overview; where more changed, it says "many" and the pages read again what they show."""


class Poke(TypedDict):
    """The message in the channel layer. `type` names the consumer's method."""

    type: str
    batches: list[str]
    packages: list[str]
    many: bool


def batch_group(public_id: str) -> str:
    """The group of those who watch one batch."""
    return f"batch.{public_id}"


class LiveSink:
    """One message to each changed batch's group and one to the overview, whatever the number of events."""

    name = "live"

    def send(self, events: Sequence[Event]) -> None:
        """Raises whatever the channel layer raises when it is away."""
        batches = _distinct(events, "batch")
        packages = _distinct(events, "package")
        if batches or packages:
            async_to_sync(self._tell)(batches, packages)

    async def _tell(self, batches: list[str], packages: list[str]) -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        many = len(batches) + len(packages) > MOST_NAMES
        await layer.group_send(OVERVIEW, _poke([] if many else batches, [] if many else packages, many=many))
        for start in range(0, len(batches), MOST_NAMES):
            part = batches[start : start + MOST_NAMES]
            await asyncio.gather(*(layer.group_send(batch_group(batch), _poke([batch], [])) for batch in part))


def _poke(batches: list[str], packages: list[str], *, many: bool = False) -> dict[str, Any]:
    return dict(Poke(type="live.poke", batches=batches, packages=packages, many=many))


def _distinct(events: Sequence[Event], name: str) -> list[str]:
    """The values of a field, each once, in the order of their first event. Some events do not have the field."""
    return list(dict.fromkeys(event[name] for event in events if name in event))
