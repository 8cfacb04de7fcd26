"""Static files under hashed names, so that browsers may keep them for ever."""

from typing import Final

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage

OUR_MODULES: Final = "js/*.js"
"""Django's own switch would read every script, and stumbles over a comment in htmx's."""
IMPORTS: Final = (
    (r"""(?P<matched>from\s*["'](?P<url>\./[^"']+)["'])""", 'from "%(url)s"'),
    (r"""(?P<matched>import\s*["'](?P<url>\./[^"']+)["'])""", 'import "%(url)s"'),
)


class HashedFilesStorage(ManifestStaticFilesStorage):
    """Rewrites the imports of our script modules too: after an upgrade no page runs half old, half new ones."""

    patterns = (*ManifestStaticFilesStorage.patterns, (OUR_MODULES, IMPORTS))
