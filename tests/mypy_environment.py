"""A mypy plugin that changes no types: it lets Django's plugin read the settings under the environment of the tests."""

import os
from typing import Final

from mypy.plugin import Plugin

ENVIRONMENT: Final = {"ENVIRONMENT": "test", "DATABASE_URL": "sqlite:///:memory:", "REDIS_URL": "memory://"}


def plugin(version: str) -> type[Plugin]:
    os.environ.update(ENVIRONMENT)
    return Plugin
