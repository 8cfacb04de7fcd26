"""REST API: update packages. Views translate and delegate; rules live in the commands."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from ota_console.web.openapi import PUBLIC_ID
from ota_console.web.rest import ApiViewSet, StrictJSONParser
from packages_app import filters, selectors, serializers
from packages_app.commands.create import create_package
from packages_app.commands.delete import delete_package
from packages_app.commands.edit import edit_package
from packages_app.person_links import person_link
from packages_app.uploads import receive_packages, received_files


@extend_schema(tags=["Update packages"])
class PackageViewSet(ListModelMixin, ApiViewSet[Any]):
    queryset = selectors.packages()
    filterset_class = filters.PackageApiFilter
    serializer_class = serializers.PackageOut
    parser_classes = (StrictJSONParser, MultiPartParser)
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = PUBLIC_ID
    field_names = {"product": "product_key"}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Files are taken in by our handler, which must be in place before anything reads the body."""
        with receive_packages(request):
            return super().dispatch(request, *args, **kwargs)

    @extend_schema(summary="List update packages, newest first")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Without their files."""
        return super().list(request, *args, **kwargs)

    @extend_schema(summary="Get an update package", responses=serializers.PackageDetailOut)
    def retrieve(self, request: Request, id: str) -> Response:
        """With its files and their digests."""
        return self._package(id)

    @extend_schema(
        summary="Upload an update package",
        request={"multipart/form-data": serializers.PackageIn},
        responses={201: serializers.PackageDetailOut},
        examples=[
            OpenApiExample(
                "A full package of the default module",
                {"product_key": "a1B2c3D4e5F", "name": "meter-fw", "version": "1.1.0", "files": ["firmware.bin"]},
                media_type="multipart/form-data",
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Multipart. Repeat the field `files` for each file; digests are computed while they arrive."""
        given = serializers.PackageIn(data=request.data)
        given.is_valid(raise_exception=True)
        files = received_files(given.validated_data["files"])
        created = create_package(draft=given.draft(), files=files, actor=self.actor(), now=self.now())
        return self._package(created.public_id, status.HTTP_201_CREATED)

    @extend_schema(
        summary="Edit an update package",
        request={"application/json": serializers.PackageEdit},
        responses=serializers.PackageDetailOut,
    )
    def partial_update(self, request: Request, id: str) -> Response:
        """Name, description and custom information; what devices may hold already never changes."""
        values = self.read(serializers.PackageEdit)
        edit_package(package=id, **values, actor=self.actor(), now=self.now())
        return self._package(id)

    @extend_schema(summary="Delete an update package", responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """With its files. Refused (409) once update batches have used it."""
        delete_package(package=id, actor=self.actor(), now=self.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        summary="Download a file of an update package",
        responses={302: OpenApiResponse(OpenApiTypes.BINARY, description="`Location` is a link that expires.")},
    )
    @action(detail=True, url_path="files/(?P<position>[1-9][0-9]?)", filterset_class=None)
    def file(self, request: Request, id: str, position: str) -> HttpResponseRedirect:
        """Leads to the download server by a signed link, which needs no token and supports ranges."""
        return HttpResponseRedirect(person_link(id, int(position), now=self.now()))

    def _package(self, public_id: str, code: int = status.HTTP_200_OK) -> Response:
        package = selectors.package_facts(public_id).package
        context = {"files": selectors.package_files(package.pk)}
        return Response(serializers.PackageDetailOut(package, context=context).data, status=code)
