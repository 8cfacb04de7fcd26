"""The one root of all errors that a person or a program is told about.

Commands raise these; one handler for pages and one for the API map them to answers (`ota_console.web.errors`). A
device's mistake is counted and dropped, never raised. This module reaches no framework.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class OtaError(Exception):
    """`code` is stable, for programs; `message` a complete sentence, for people; `field` names the input at fault."""

    status: ClassVar[int] = 400

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


class Invalid(OtaError):
    """The input is wrong; `errors` lists the sentences for each field (an empty key means the whole form)."""

    status = 400

    def __init__(
        self,
        code: str,
        message: str,
        field: str | None = None,
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(code, message, field)
        given = errors if errors is not None else {field or "": [message]}
        self.errors: dict[str, list[str]] = {name: list(sentences) for name, sentences in given.items()}


class Forbidden(OtaError):
    """The person or program may not do this."""

    status = 403


class NotFound(OtaError):
    """The thing named does not exist."""

    status = 404


class Conflict(OtaError):
    """The state does not allow it, or somebody else was faster."""

    status = 409
