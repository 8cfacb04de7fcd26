"""How the API describes itself: every operation's problems, without repeating them at each view."""

from typing import Any, Final, Literal

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from ota_console.web.errors import PROBLEM_TYPE

PUBLIC_ID: Final = "[0-9A-Za-z]{26}"
"""The pattern of public ids in addresses."""


class ProblemOut(serializers.Serializer[Any]):
    """RFC 9457, with a stable `code`, and the sentences for each field at fault."""

    type = serializers.CharField(help_text="Always `about:blank`: `code` tells the kind.")
    title = serializers.CharField(help_text="The words of the HTTP status.")
    status = serializers.IntegerField(help_text="The HTTP status.")
    detail = serializers.CharField(help_text="A complete sentence.")
    code = serializers.CharField(help_text="Stable, for programs.")
    field = serializers.CharField(required=False, help_text="The first field at fault.")
    errors = serializers.DictField(  # type: ignore[assignment]  # a field of the answer, not the base's property
        required=False,
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Sentences by field; an empty name means the whole.",
    )


class ProblemSchema(AutoSchema):
    """Adds what can go wrong to each operation: 401 always, 400, 404 and 409 where they can happen."""

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for code in self._problem_codes():
            problem: Any = self._get_response_for_code(ProblemOut, code, [PROBLEM_TYPE])  # type: ignore[no-untyped-call]  # the library's own
            bodies.setdefault(code, problem)
        return bodies

    def _problem_codes(self) -> list[str]:
        names_one, is_read = "{" in self.path, self.method == "GET"
        codes = ["400", "401"] + (["404"] if names_one else [])
        return codes if is_read else [*codes, "409"]
