"""The composition root of the WSGI process, which serves firmware downloads fast: `gunicorn -k gthread ota_console.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ota_console.settings")
application = get_wsgi_application()
