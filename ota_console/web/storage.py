"""Static files under hashed names, so that browsers may keep them for ever."""

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class HashedFilesStorage(ManifestStaticFilesStorage):
    """Rewrites the imports of our script modules too: after an upgrade no page runs half old, half new ones."""

    support_js_module_import_aggregation = True
