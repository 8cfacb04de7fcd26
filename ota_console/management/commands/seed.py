from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ota_console.demo.seed import seed


class Command(BaseCommand):
    help = "Makes a product, devices, a group and update packages to try the console with. What exists stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--devices", type=int, default=200)

    def handle(self, *args: Any, **options: Any) -> None:
        made = seed(devices=options["devices"])
        self.stdout.write(
            f"Product {made.product_key}: {made.device_count} devices, {made.package_count} update packages."
        )
