import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from batches_app.engine.ingest import ingest
from ota_console.core import clock, garbage
from ota_console.gateway.adapter import Endpoint
from ota_console.gateway.runner import Gateway, GatewayConfig


class Command(BaseCommand):
    help = "Carries messages between the MQTT broker and the database. One is active; others stand by."
    requires_migrations_checks = True

    def handle(self, *args: Any, **options: Any) -> None:
        config = GatewayConfig(
            endpoint=Endpoint.from_url(settings.MQTT_URL, ca_file=settings.MQTT_CA_FILE),
            client_id=settings.GATEWAY_CLIENT_ID,
        )
        gateway = Gateway(config=config, apply=ingest, clock=clock.now)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: gateway.stop())
        garbage.search_rarely()
        code = gateway.run()
        if code:
            raise CommandError("The gateway stopped because a part of it failed; see the log.", returncode=code)
