"""`make bench`: starts PostgreSQL, mosquitto and Valkey on free ports, measures the rows, prints the table.

QUICK=1 does a tenth of the work; OUT=file.json writes the table as JSON too. Needs nothing that runs already, and
leaves nothing running.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

import django
from django.core.management import call_command

from ota_console.core import garbage
from tests import servers
from tests.benchmarks.measure import table

DEVICES: Final = 100_000
QUICK_DEVICES: Final = 10_000
REPEATS: Final = 3
POSTGRESQL_SETTINGS: Final = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "effective_cache_size": "2GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "off",
}
"""A server that may not lose anything; cleaning up happens between the repeats, not in the middle of one."""


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="ota-bench-") as name, _stack(Path(name)):
        django.setup()
        call_command("migrate", verbosity=0)
        rows = import_module("tests.benchmarks.rows")  # it imports models, which Django must be ready for
        garbage.search_rarely()  # as in a worker
        results = rows.run(
            device_count=options.devices,
            repeats=options.repeats,
            names=options.rows,
            folder=Path(name),
            tell=lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201 - progress for who waits
        )
    print(table(results))  # noqa: T201 - the result
    if options.out:
        Path(options.out).write_text(json.dumps({"rows": [result.as_json() for result in results]}, indent=2) + "\n")
    return 0


def _options() -> argparse.Namespace:
    is_quick = os.environ.get("QUICK", "") not in {"", "0"}
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--devices", type=int, default=QUICK_DEVICES if is_quick else DEVICES)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--out", default=os.environ.get("OUT", ""), help="write the table to this JSON file")
    parser.add_argument("rows", nargs="*", help="names of rows; all where none is given")
    return parser.parse_args()


@contextlib.contextmanager
def _stack(folder: Path) -> Iterator[None]:
    """Three servers, and the product's settings that lead to them."""
    with (
        servers.postgresql(folder / "database", **POSTGRESQL_SETTINGS) as database,
        servers.valkey(folder / "valkey") as valkey,
        servers.mosquitto(folder / "mosquitto") as broker,
    ):
        os.environ.update(
            ENVIRONMENT="production",
            DJANGO_SETTINGS_MODULE="ota_console.settings",
            SECRET_KEY="a-benchmark-and-nothing-else-uses-this-key-of-enough-length",
            BROKER_SECRET="a-benchmark-and-nothing-else-uses-this-secret",
            PUBLIC_URL="https://ota.example.com",
            DATA_DIR=str(folder / "data"),
            MEDIA_ROOT=str(folder / "media"),
            DATABASE_URL=database.url,
            REDIS_URL=valkey.url,
            MQTT_URL=broker.url,
            LOG_LEVEL="WARNING",
        )
        yield


if __name__ == "__main__":
    sys.exit(main())
