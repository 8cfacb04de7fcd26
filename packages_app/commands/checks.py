"""What is wrong with an update package, in words, by field (vendor reference §1.3). Asks no database."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from django.utils.translation import gettext as _

from devices_app.commands.checks import Errors, matches
from devices_app.models import version_validator
from packages_app import limits
from packages_app.models import UpdatePackage, package_name_validator
from packages_app.uploads import ReceivedFile, UploadProblem

_FIRST_SURROGATE, _LAST_SURROGATE = "\ud800", "\udfff"
_TYPES: Final = ", ".join(limits.FILE_TYPES)


def check_name(name: str) -> list[str]:
    """1 to 40 characters of the allowed kinds."""
    return matches(package_name_validator, name)


def check_text(text: str, *, longest: int) -> list[str]:
    """Free text: a Chinese character counts 1. Control characters that no database keeps are refused."""
    if len(text) > longest:
        return [_("Use at most %(count)d characters.") % {"count": longest}]
    if "\0" in text or any(_FIRST_SURROGATE <= character <= _LAST_SURROGATE for character in text):
        return [_("Null and surrogate characters are not allowed.")]
    return []


def check_description(description: str) -> list[str]:
    """At most 100 characters."""
    return check_text(description, longest=limits.MAX_DESCRIPTION_LENGTH)


def check_custom_info(custom_info: str) -> list[str]:
    """At most 4,096 characters of any kind."""
    return check_text(custom_info, longest=limits.MAX_CUSTOM_INFO_LENGTH)


def check_versions(kind: UpdatePackage.Kind, version: str, source_version: str) -> Errors:
    """A delta package needs a source version; a source version differs from the version."""
    errors: Errors = {"version": matches(version_validator, version), "source_version": []}
    if source_version:
        errors["source_version"] = matches(version_validator, source_version)
        if source_version == version:
            errors["source_version"] = [_("The source version must differ from the version.")]
    elif kind is UpdatePackage.Kind.DELTA:
        errors["source_version"] = [
            _("Enter the source version. A delta package can be installed on that version only.")
        ]
    return errors


def check_files(files: Sequence[ReceivedFile]) -> list[str]:
    """1 to 20 files, not empty, at most 1,000 MB each, of known types, with different names."""
    if not files:
        return [_("Choose at least one file.")]
    if len(files) > limits.MAX_FILES:
        return [_("Choose at most %(count)d files.") % {"count": limits.MAX_FILES}]
    longest = limits.MAX_FILE_NAME_LENGTH if len(files) == 1 else limits.MAX_FILE_NAME_LENGTH_OF_SEVERAL
    problems = [problem for file in files for problem in _check_file(file, longest)]
    twice = [name for name, count in Counter(file.name for file in files).items() if count > 1]
    return problems + [_("%(name)s: Two files have this name.") % {"name": name} for name in twice]


def _check_file(file: ReceivedFile, longest_name: int) -> list[str]:
    problems = []
    if len(file.name) > longest_name:
        problems.append(
            _("%(name)s: Use at most %(count)d characters for the file name.")
            % {"name": file.name, "count": longest_name}
        )
    if not is_known_type(file.name):
        problems.append(_("%(name)s: Use one of these file types: %(types)s.") % {"name": file.name, "types": _TYPES})
    if file.problem is UploadProblem.TOO_LARGE or file.digests.size_bytes > limits.MAX_FILE_BYTES:
        problems.append(_("%(name)s: The file is larger than %(count)s MB.") % {"name": file.name, "count": "1,000"})
    elif file.digests.size_bytes == 0:
        problems.append(_("%(name)s: The file is empty.") % {"name": file.name})
    return problems


def is_known_type(name: str) -> bool:
    """Whether a file name ends in one of the accepted types, after at least one other character."""
    lower = name.lower()
    return any(lower.endswith(suffix) and len(lower) > len(suffix) for suffix in limits.FILE_TYPES)
