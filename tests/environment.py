"""The environment of the tests, set before Django reads its settings (pytest loads this by `-p tests.environment`).

TEST_DATABASE=postgresql runs the database's tests on PostgreSQL, which `tests.conftest` starts. It starts no process.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

TEST_DATABASE: Final = os.environ.get("TEST_DATABASE", "sqlite")
FOLDER: Final = Path(tempfile.mkdtemp(prefix="ota-tests-"))
"""Everything that a test process writes; gone with it."""

(FOLDER / "static").mkdir()
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

NAMES_OF_OURS: Final = (
    "ALLOWED_HOSTS",
    "DEBUG",
    "DOWNLOAD_URL",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "PUBLIC_URL",
    "DISPLAY_TIME_ZONE",
)
for name in NAMES_OF_OURS:
    os.environ.pop(name, None)

os.environ.update(
    ENVIRONMENT="test",
    DJANGO_SETTINGS_MODULE="ota_console.settings",
    SECRET_KEY="tests-and-nothing-else-use-this-key-of-enough-length",
    BROKER_SECRET="tests-share-this-with-the-broker",
    DATA_DIR=str(FOLDER),
    MEDIA_ROOT=str(FOLDER / "media"),
    STATIC_ROOT=str(FOLDER / "static"),
    DATABASE_URL="sqlite:///:memory:" if TEST_DATABASE == "sqlite" else "postgres://ota@127.0.0.1:1/ota",
    REDIS_URL="memory://",
    MQTT_URL="mqtt://127.0.0.1:1",
)
