from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from batches_app.domain.picture import page


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    help = "Write docs/reference/states.md from the table of the state machine."

    def handle(self, *args: Any, **options: Any) -> None:
        target = Path(settings.BASE_DIR) / "docs" / "reference" / "states.md"
        target.write_text(page(), encoding="utf-8")
        self.stdout.write(str(target))
