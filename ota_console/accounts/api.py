"""REST API: a token for a program, in exchange for a person's name and password."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.authtoken.models import Token
from rest_framework.authtoken.serializers import AuthTokenSerializer
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ota_console.accounts.lockout import Lockout, forget_failures, lockout_of
from ota_console.web.rest import StrictJSONParser


class CredentialsIn(serializers.Serializer[Any]):
    """Of a person who may sign in."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False)


class TokenOut(serializers.Serializer[Any]):
    """What goes into the header `Authorization: Token …`."""

    token = serializers.CharField()


class TooManyAttempts(APIException):
    """Wrong passwords for this name, from this address."""

    status_code = 429
    default_code = "too_many_attempts"

    def __init__(self, lockout: Lockout) -> None:
        super().__init__(lockout.sentence)
        self.wait = lockout.wait_seconds


class TokenView(APIView):
    """The one view that needs no token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        tags=["Authentication"],
        summary="Get a token",
        request=CredentialsIn,
        responses=TokenOut,
        auth=[],
        examples=[OpenApiExample("An operator", {"username": "operator", "password": "…"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """The same token each time, until it is revoked. Send it as `Authorization: Token …`.

        After several wrong passwords for a name from one address: 429, with `Retry-After` in seconds.
        """
        CredentialsIn(data=request.data).is_valid(raise_exception=True)
        credentials = AuthTokenSerializer(data=request.data, context={"request": request})
        if not credentials.is_valid() and (lockout := lockout_of(request)):
            raise TooManyAttempts(lockout)
        credentials.is_valid(raise_exception=True)
        user = credentials.validated_data["user"]
        forget_failures(request, user.get_username())
        token, _is_new = Token.objects.get_or_create(user=user)
        return Response({"token": token.key})
