"""The limits of an update package, in one place for upload, commands, forms and API (vendor reference §1.3).

Constants only; `commands.checks` says what is wrong in words.
"""

from typing import Final

MAX_PACKAGES: Final = 500
"""In the whole console."""
MAX_FILES: Final = 20
MAX_FILE_MEGABYTES: Final = 1000
MAX_FILE_BYTES: Final = MAX_FILE_MEGABYTES * 1024 * 1024
MAX_REQUEST_BYTES: Final = MAX_FILES * MAX_FILE_BYTES + 1024 * 1024
"""A request that announces more cannot hold an acceptable package and is refused before it is read."""
FILE_TYPES: Final = (".bin", ".dav", ".tar", ".gz", ".zip", ".gzip", ".apk", ".tar.gz", ".tar.xz", ".pack")
MAX_FILE_NAME_LENGTH: Final = 255
"""A package's only file."""
MAX_FILE_NAME_LENGTH_OF_SEVERAL: Final = 32
"""Devices are told the names of several files."""
MAX_DESCRIPTION_LENGTH: Final = 100
MAX_CUSTOM_INFO_LENGTH: Final = 4096
