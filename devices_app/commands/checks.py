"""What is wrong with names, keys and secrets, in words, by field (vendor reference §1.1, §1.2). Asks no database."""

import re
from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext as _

from devices_app.models import device_name_validator, module_name_validator, product_key_validator, version_validator
from ota_console.core.errors import Invalid

Errors = dict[str, list[str]]

MAX_DESCRIPTION_LENGTH: Final = 100
SHORTEST_NAME: Final = 4
LONGEST_NAME: Final = 30
_WORD: Final = r"A-Za-z0-9_\u3040-\u30ff\u3400-\u9fff"
_PRODUCT_NAME: Final = re.compile(rf"[{_WORD}]+")
_GROUP_NAME: Final = re.compile(rf"[{_WORD}()-]+")
_ALIAS: Final = re.compile(rf"[{_WORD}.-]{{0,64}}")
_SECRET: Final = re.compile(r"[!-~]{8,64}", re.ASCII)
_CONTROL: Final = re.compile("[\0\ud800-\udfff]")


def found(**problems: list[str]) -> Errors:
    """Only the fields that have a problem."""
    return {field: messages for field, messages in problems.items() if messages}


def invalid(errors: Errors) -> Invalid:
    """The error that carries these sentences."""
    return Invalid("invalid", _("Some values cannot be accepted."), errors=errors)


def matches(validator: RegexValidator, value: str) -> list[str]:
    """The validator's sentence where the value breaks it."""
    try:
        validator(value)
    except ValidationError as error:
        return list(error.messages)
    return []


def check_product_key(key: str) -> list[str]:
    """4 to 32 letters and digits."""
    return matches(product_key_validator, key)


def check_device_name(name: str) -> list[str]:
    """4 to 32 characters of the allowed kinds."""
    return matches(device_name_validator, name)


def check_module_name(name: str) -> list[str]:
    """1 to 64 characters of the allowed kinds."""
    return matches(module_name_validator, name)


def check_version(version: str) -> list[str]:
    """1 to 64 characters of the allowed kinds."""
    return matches(version_validator, version)


def check_secret(secret: str) -> list[str]:
    """A secret of an existing fleet: it is a key for a message code, so any visible ASCII will do."""
    return [] if _SECRET.fullmatch(secret) else [_("Use 8 to 64 visible ASCII characters without spaces.")]


def check_product_name(name: str) -> list[str]:
    """4 to 30 characters, a Chinese or Japanese one counting 2."""
    return _check_counted(
        _PRODUCT_NAME,
        name,
        _("Use 4 to 30 Chinese or Japanese characters (each counts 2), letters, digits and underscores."),
    )


def check_group_name(name: str) -> list[str]:
    """4 to 30 characters, a Chinese or Japanese one counting 2."""
    sentence = _(
        "Use 4 to 30 Chinese or Japanese characters (each counts 2), letters, digits, hyphens, underscores "
        "and parentheses."
    )
    return _check_counted(_GROUP_NAME, name, sentence)


def check_alias(alias: str) -> list[str]:
    """At most 64 characters of the allowed kinds; empty: none."""
    sentence = _("Use at most 64 Chinese or Japanese characters, letters, digits, and the characters . - _")
    return [] if _ALIAS.fullmatch(alias) else [sentence]


def check_description(text: str) -> list[str]:
    """At most 100 characters that a database keeps."""
    if len(text) > MAX_DESCRIPTION_LENGTH:
        return [_("Use at most %(count)d characters.") % {"count": MAX_DESCRIPTION_LENGTH}]
    return [_("Null and surrogate characters are not allowed.")] if _CONTROL.search(text) else []


def _check_counted(pattern: re.Pattern[str], name: str, sentence: str) -> list[str]:
    length = sum(1 if character.isascii() else 2 for character in name)
    return [] if pattern.fullmatch(name) and SHORTEST_NAME <= length <= LONGEST_NAME else [sentence]
