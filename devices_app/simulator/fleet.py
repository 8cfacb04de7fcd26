"""Runs all simulated devices of a fleet in one process, until it is told to stop."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from devices_app.simulator.behaviour import DEFAULT_SHARES, Kind, behaviour
from devices_app.simulator.device import Identity, SimulatedDevice
from devices_app.simulator.network import Address, Network

log = structlog.get_logger(__name__)


ASK_AGAIN_SECONDS: Final = 2
"""A device that loses its connection while it is told to stop would take that for an ordinary loss."""


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """`speed` 1 is a pace to watch; tests run at 100 and more."""

    address: Address
    seed: int = 7
    speed: float = 1
    downloads: int = 16
    shares: Mapping[Kind, float] = field(default_factory=lambda: DEFAULT_SHARES)


async def run_fleet(identities: Sequence[Identity], config: FleetConfig, stopping: asyncio.Event) -> None:
    """Simulate until `stopping` is set. A device whose code fails ends the fleet: nothing half-alive."""
    network = Network(config.address, speed=config.speed, downloads=config.downloads, seed=config.seed)
    async with network:
        devices = [
            SimulatedDevice(identity, behaviour(config.seed, identity.device_name, config.shares), network)
            for identity in identities
        ]
        log.info("fleet_started", devices=len(devices), seed=config.seed)
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(device.live(), name=device.identity.device_name) for device in devices]
            with contextlib.suppress(asyncio.CancelledError):
                await stopping.wait()
            await _end(lives)
    log.info("fleet_stopped")


async def _end(lives: Sequence[asyncio.Task[None]]) -> None:
    running = {life for life in lives if not life.done()}
    while running:
        for life in running:
            life.cancel()
        _, running = await asyncio.wait(running, timeout=ASK_AGAIN_SECONDS)
