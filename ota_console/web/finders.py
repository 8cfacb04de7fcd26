"""Serves the few files that pages use from the npm packages in node_modules; nothing of them is committed.

A package's other files (thousands of icons, sources, other builds) are never collected.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.storage import FileSystemStorage, Storage

PREFIX: Final = "vendor"
FILES: Final = (
    "@tabler/core/dist/css/tabler.min.css",
    "@tabler/core/dist/css/tabler.min.css.map",  # the style sheet names it, and hashing follows every name
    "echarts/dist/echarts.min.js",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
    "@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2",
)


class NodePackagesFinder(BaseFinder):
    """`{% static "vendor/<package>/<path>" %}` for each path in FILES."""

    def __init__(self, app_names: object = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        root = Path(settings.NODE_MODULES)
        missing = [path for path in FILES if not (root / path).is_file()]
        if not missing or not settings.HAS_HASHED_STATIC_FILES:
            return []
        return [Error(f"{missing[0]} is not in {root}.", hint="Run npm install.", id="web.E001")]

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        prefix, _, inside = path.partition("/")
        file = Path(settings.NODE_MODULES) / inside
        if prefix != PREFIX or inside not in FILES or not file.is_file():
            return []
        return [str(file)] if kwargs.get("find_all") else str(file)

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        storage = FileSystemStorage(location=str(settings.NODE_MODULES))
        storage.prefix = PREFIX  # type: ignore[attr-defined]  # collectstatic asks the storage for its prefix
        for path in FILES:
            if storage.exists(path):
                yield path, storage
