"""The composition root of the download server, a process of its own that hands out files of packages and nothing else.

`gunicorn --worker-class gthread --threads 64 ota_console.wsgi`; `DOWNLOAD_URL` announces it to devices.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ota_console.settings")
django.setup()

from django.conf import settings  # noqa: E402 models can be imported only after Django is set up

from batches_app.selectors.downloads import package_of_live_task  # noqa: E402 as above
from ota_console.core import clock  # noqa: E402 as above
from packages_app.downloads import DownloadServer  # noqa: E402 as above
from packages_app.links import derive_key  # noqa: E402 as above

application = DownloadServer(key=derive_key(settings.SECRET_KEY), is_task_alive=package_of_live_task, now=clock.now)
