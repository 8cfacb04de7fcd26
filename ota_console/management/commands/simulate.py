import asyncio
import json
import signal
import ssl
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from devices_app.models import DEFAULT_MODULE, Device, ModuleVersion
from devices_app.simulator.behaviour import DEFAULT_SHARES, Kind
from devices_app.simulator.device import Identity
from devices_app.simulator.fleet import FleetConfig, run_fleet
from devices_app.simulator.network import Address


class Command(BaseCommand):
    help = (
        "Simulates devices that log in, report their versions, download updates and report progress, as real ones do. "
        "They are the console's own devices, or those of a JSON file. Ends on SIGTERM and Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        broker = urlsplit(settings.MQTT_URL)
        parser.add_argument("--devices", type=int, default=200, help="how many (default: 200)")
        parser.add_argument("--product", default="", help="product key; default: devices of all products")
        parser.add_argument("--file", type=Path, help="JSON list of product_key, device_name, device_secret, version")
        parser.add_argument("--seed", type=int, default=7, help="decides each device's behaviour (default: 7)")
        parser.add_argument("--host", default=broker.hostname or "127.0.0.1", help="of the broker")
        parser.add_argument("--port", type=int, default=broker.port or 1883, help="of the broker")
        parser.add_argument("--tls-ca", type=Path, help="connect by TLS and trust this certificate")
        parser.add_argument("--subscribe", action="store_true", help="for brokers that do not know _ss=1")
        parser.add_argument("--speed", type=_positive, default=1.0, help="times faster than real devices (default: 1)")
        parser.add_argument("--downloads", type=int, default=16, help="requests at once (default: 16)")
        parser.add_argument("--initial-version", default="1.0.0", help="of devices never seen before")
        kinds = ", ".join(kind.value for kind in Kind if kind is not Kind.SUCCEEDS)
        parser.add_argument(
            "--share",
            type=_share,
            action="append",
            metavar="KIND=PERCENT",
            help=f"part of the fleet that behaves so, instead of the default mix; may be repeated. Kinds: {kinds}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        identities = _identities(options)
        if not identities:
            raise CommandError("There are no devices to simulate. Create devices first, or name a file.")
        tls = ssl.create_default_context(cafile=str(options["tls_ca"])) if options["tls_ca"] else None
        config = FleetConfig(
            address=Address(options["host"], options["port"], tls, subscribes=options["subscribe"]),
            seed=options["seed"],
            speed=options["speed"],
            downloads=options["downloads"],
            shares=DEFAULT_SHARES if options["share"] is None else dict(options["share"]),
        )
        asyncio.run(_until_signal(identities, config))


async def _until_signal(identities: list[Identity], config: FleetConfig) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await run_fleet(identities, config, stopping)


def _identities(options: dict[str, Any]) -> list[Identity]:
    if options["file"] is not None:
        return _from_file(options["file"], options["initial_version"])[: options["devices"]]
    return _from_database(options["product"], options["devices"], options["initial_version"])


def _from_file(file: Path, initial_version: str) -> list[Identity]:
    try:
        return [
            Identity(
                entry["product_key"],
                entry["device_name"],
                entry["device_secret"],
                ((DEFAULT_MODULE, entry.get("version", initial_version)),),
            )
            for entry in json.loads(file.read_text())
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{file} is not a list of devices: {error!r}") from error


def _from_database(product_key: str, limit: int, initial_version: str) -> list[Identity]:
    """Each device with the versions it last reported, so that a simulator started again goes on where it was."""
    devices = Device.objects.filter(is_enabled=True).select_related("product").order_by("id")
    if product_key:
        devices = devices.filter(product__product_key=product_key)
    chosen = list(devices[:limit])
    versions: dict[int, dict[str, str]] = {device.pk: {DEFAULT_MODULE: initial_version} for device in chosen}
    reported = ModuleVersion.objects.filter(device__in=devices.values("pk")).select_related("module")
    for row in reported.iterator():
        if row.device_id in versions:
            versions[row.device_id][row.module.name] = row.version
    return [
        Identity(device.product.product_key, device.name, device.secret, tuple(versions[device.pk].items()))
        for device in chosen
    ]


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise ArgumentTypeError("must be above zero")
    return value


def _share(text: str) -> tuple[Kind, float]:
    kind, _, percent = text.partition("=")
    try:
        return Kind(kind), float(percent)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not KIND=PERCENT") from error
