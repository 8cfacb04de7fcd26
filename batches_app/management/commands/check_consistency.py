from typing import Any

from django.core.management.base import BaseCommand

from batches_app.engine.reconcile import check_consistency


class Command(BaseCommand):
    help = "Recount all counters in one snapshot; list every difference and exit with 1 where there is one."

    def handle(self, *args: Any, **options: Any) -> None:
        differences = check_consistency()
        for found in differences:
            line = f"{found.counter} {found.owner}: {found.column} is {found.stored}, its tasks say {found.counted}"
            self.stdout.write(self.style.ERROR(line))
        if differences:
            raise SystemExit(1)
        self.stdout.write(self.style.SUCCESS("All counters equal their tasks."))
