"""Serves the few files that pages use from the npm packages in node_modules; nothing of them is committed.

A package's other files (thousands of icons, sources, other builds) are never collected.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.storage import FileSystemStorage, Storage


@dataclass(frozen=True, slots=True)
class NodePackage:
    """`{% static "<name>/<path>" %}` for each path under `folder` that fits one of `patterns`."""

    name: str
    folder: str
    patterns: tuple[str, ...]

    @property
    def root(self) -> Path:
        return Path(settings.NODE_MODULES) / self.name / self.folder

    def paths(self) -> list[str]:
        if not self.root.is_dir():
            return []
        found = (file.relative_to(self.root) for pattern in self.patterns for file in self.root.glob(pattern))
        return sorted(path.as_posix() for path in found)

    def has(self, path: str) -> bool:
        return any(fnmatch(path, pattern) for pattern in self.patterns) and (self.root / path).is_file()


FONT: Final = ("index.css", "files/*-wght-normal.woff2")
PACKAGES: Final = (
    NodePackage("@tabler/core", "dist", ("css/tabler.min.css", "css/tabler.min.css.map")),
    NodePackage("echarts", "dist", ("echarts.min.js",)),
    NodePackage("@fontsource-variable/inter", "", FONT),
    NodePackage("@fontsource-variable/jetbrains-mono", "", FONT),
)


class NodePackagesFinder(BaseFinder):
    def __init__(self, app_names: object = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        missing = [package for package in PACKAGES if not package.paths()]
        if not missing or not settings.HAS_HASHED_STATIC_FILES:
            return []
        return [Error(f"{missing[0].name} is not in {settings.NODE_MODULES}.", hint="Run npm install.", id="web.E001")]

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        wants_all = bool(kwargs.get("find_all"))
        for package in PACKAGES:
            inside = path.removeprefix(f"{package.name}/")
            if inside != path and package.has(inside):
                found = str(package.root / inside)
                return [found] if wants_all else found
        return []

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        for package in PACKAGES:
            storage = FileSystemStorage(location=str(package.root))
            storage.prefix = package.name  # type: ignore[attr-defined]  # collectstatic asks the storage for its prefix
            for path in package.paths():
                yield path, storage
