"""The composition root of the console's server: pages and API, WebSockets, static files.

`uvicorn --http h11 ota_console.asgi:application`; h11 keeps the spelling of response headers.
"""

import os
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ota_console.settings")
django_application = get_asgi_application()
django_for_large_bodies = get_wsgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402 models can be imported only after Django is set up
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 as above
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402 as above
from django.conf import settings  # noqa: E402 as above
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler  # noqa: E402 as above
from servestatic import ServeStaticASGI  # noqa: E402 as above

from devices_app.ports import wire_publisher  # noqa: E402 as above
from ota_console.gateway.publisher import publisher_by_settings  # noqa: E402 as above
from ota_console.live.routing import websocket_urlpatterns  # noqa: E402 as above
from ota_console.web.streams import StreamedBodies  # noqa: E402 as above

wire_publisher(publisher_by_settings)
"""For what brokers tell by HTTP: presence goes on to the gateway as a message."""


def _with_static_files(application: Any) -> Any:
    """Hashed files are served for ever from STATIC_ROOT; with DEBUG the finders serve them as they are."""
    if settings.DEBUG:
        return ASGIStaticFilesHandler(application)
    return ServeStaticASGI(
        application,
        root=str(settings.STATIC_ROOT),
        prefix=settings.STATIC_URL,
        max_age=60,
        immutable_file_test=r"\.[0-9a-f]{12}\.",
    )


application = ProtocolTypeRouter(
    {
        "http": _with_static_files(StreamedBodies(small=django_application, large=django_for_large_bodies)),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
