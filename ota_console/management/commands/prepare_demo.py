import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ota_console.demo.prepare import prepare


class Command(BaseCommand):
    help = (
        "Migrates, collects static files, makes the accounts operator and admin, and seeds the demo's fleet. "
        "Their passwords come by OPERATOR_PASSWORD and ADMIN_PASSWORD. `make demo` runs it at each start."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--devices", type=int, default=200)

    def handle(self, *args: Any, **options: Any) -> None:
        prepare(
            devices=options["devices"],
            operator_password=os.environ["OPERATOR_PASSWORD"],
            admin_password=os.environ["ADMIN_PASSWORD"],
        )
