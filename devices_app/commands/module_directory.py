"""Module names to keys while messages are applied.

A name that a known device reports first is created (rules.md §5).
"""

from datetime import datetime

from django.db.models.functions import Lower

from devices_app.commands.modules import MAX_CUSTOM_MODULES
from devices_app.models import DEFAULT_MODULE, Module


class TooManyModules(Exception):
    """The product has its ten custom modules already."""


class ModuleDirectory:
    """The modules of the products of one micro-batch, read once each. Names match whatever their case."""

    def __init__(self, now: datetime) -> None:
        """Empty; `now` dates the modules that it makes."""
        self._now = now
        self._products: dict[int, dict[str, int]] = {}

    def _of(self, product_id: int) -> dict[str, int]:
        if product_id not in self._products:
            rows = Module.objects.filter(product=product_id).values_list(Lower("name"), "pk")
            self._products[product_id] = dict(rows)
        return self._products[product_id]

    def find(self, product_id: int, name: str) -> int | None:
        """The module's key, or None."""
        return self._of(product_id).get(name.lower())

    def find_or_create(self, product_id: int, name: str) -> int:
        """The module's key; made if new. Raises TooManyModules."""
        known = self._of(product_id)
        key = known.get(name.lower())
        if key is not None:
            return key
        if len(known.keys() - {DEFAULT_MODULE}) >= MAX_CUSTOM_MODULES and name.lower() != DEFAULT_MODULE:
            raise TooManyModules(name)
        made, _ = Module.objects.get_or_create(
            product_id=product_id, name__iexact=name, defaults={"name": name, "created_at": self._now}
        )
        known[name.lower()] = made.pk
        return made.pk
