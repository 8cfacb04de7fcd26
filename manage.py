#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    # A checkout without a configured secret is a development one; a configured server stays production.
    if not {"SECRET_KEY", "SECRET_KEY_FILE"} & os.environ.keys():
        os.environ.setdefault("ENVIRONMENT", "development")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ota_console.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
