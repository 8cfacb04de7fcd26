"""REST API: products, modules, devices and groups. Views translate and delegate; rules live in the commands."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from devices_app import filters, selectors, serializers
from devices_app.commands import checks
from devices_app.commands import devices as device_commands
from devices_app.commands import groups as group_commands
from devices_app.commands import modules as module_commands
from devices_app.commands import products as product_commands
from devices_app.commands.devices import DeviceDraft, DeviceResult, Outcome
from ota_console.web.openapi import PUBLIC_ID
from ota_console.web.rest import ApiViewSet

PRODUCT_KEY: Final = "[A-Za-z0-9]{4,32}"
_DEVICE_FIELDS: Final = {"name": "device_name", "secret": "device_secret"}


@extend_schema(tags=["Products"])
class ProductViewSet(ListModelMixin, RetrieveModelMixin, ApiViewSet[Any]):
    queryset = selectors.products()
    filterset_class = filters.ProductFilter
    serializer_class = serializers.ProductDetailOut
    list_serializer_class = serializers.ProductOut
    lookup_field = "product_key"
    lookup_value_regex = PRODUCT_KEY

    @extend_schema(summary="List products, newest first", responses=serializers.ProductOut(many=True))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Without secrets."""
        return super().list(request, *args, **kwargs)

    @extend_schema(summary="Get a product")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """With its secret."""
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(
        summary="Create a product",
        request=serializers.ProductIn,
        responses={201: serializers.ProductDetailOut},
        examples=[
            OpenApiExample(
                "An existing fleet moves", {"name": "Meter", "product_key": "a1B2c3D4e5F"}, request_only=True
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """With its module `default`. Give key and secret to move an existing fleet; else they are generated."""
        values = self.read(serializers.ProductIn)
        created = product_commands.create_product(**values, actor=self.actor(), now=self.now())
        return self.one(created.product_key, status.HTTP_201_CREATED)

    @extend_schema(summary="Edit a product", request=serializers.ProductEdit)
    def partial_update(self, request: Request, product_key: str) -> Response:
        """A missing field stays as it is."""
        values = self.read(serializers.ProductEdit)
        product_commands.edit_product(product=product_key, **values, actor=self.actor(), now=self.now())
        return self.one(product_key)

    @extend_schema(summary="Delete a product", responses={204: None})
    def destroy(self, request: Request, product_key: str) -> Response:
        """Refused (409) while it has devices, groups or update packages."""
        product_commands.delete_product(product=product_key, actor=self.actor(), now=self.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["Modules"])
class ModuleViewSet(ListModelMixin, ApiViewSet[Any]):
    queryset = selectors.modules()
    filterset_class = filters.ModuleFilter
    serializer_class = serializers.ModuleOut
    field_names = {"product": "product_key"}

    @extend_schema(summary="List modules, newest first")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Of all products, or of one."""
        return super().list(request, *args, **kwargs)

    @extend_schema(summary="Create a module", request=serializers.ModuleIn, responses={201: serializers.ModuleOut})
    def create(self, request: Request) -> Response:
        """At most 10 in a product, besides `default`."""
        values = self.read(serializers.ModuleIn)
        product = values.pop("product_key")
        module_commands.create_module(product=product, **values, actor=self.actor(), now=self.now())
        return self._module(product, values["name"], status.HTTP_201_CREATED)

    @extend_schema(summary="Get a module")
    def retrieve(self, request: Request, product_key: str, name: str) -> Response:
        """By product key and name."""
        return self._module(product_key, name)

    @extend_schema(summary="Edit a module", request=serializers.ModuleEdit)
    def partial_update(self, request: Request, product_key: str, name: str) -> Response:
        """Alias and description; the name never changes, since devices report it."""
        values = self.read(serializers.ModuleEdit)
        module_commands.edit_module(product=product_key, module=name, **values, actor=self.actor(), now=self.now())
        return self._module(product_key, name)

    @extend_schema(summary="Delete a module", responses={204: None})
    def destroy(self, request: Request, product_key: str, name: str) -> Response:
        """Refused (409) while update packages or reported versions name it."""
        module_commands.delete_module(product=product_key, module=name, actor=self.actor(), now=self.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _module(self, product_key: str, name: str, code: int = status.HTTP_200_OK) -> Response:
        return Response(serializers.ModuleOut(selectors.module(product_key, name)).data, status=code)


@extend_schema(tags=["Devices"])
class DeviceViewSet(ListModelMixin, RetrieveModelMixin, ApiViewSet[Any]):
    queryset = selectors.devices()
    filterset_class = filters.DeviceFilter
    serializer_class = serializers.DeviceDetailOut
    list_serializer_class = serializers.DeviceOut
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = PUBLIC_ID
    field_names = {"product": "product_key", **_DEVICE_FIELDS}

    @extend_schema(summary="List devices, newest first", responses=serializers.DeviceOut(many=True))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Without secrets. `product_key` and `device_name` together name one device."""
        return super().list(request, *args, **kwargs)

    @extend_schema(summary="Get a device")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """With its secret."""
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(
        summary="Create a device", request=serializers.DeviceIn, responses={201: serializers.DeviceDetailOut}
    )
    def create(self, request: Request) -> Response:
        """Give name and secret to move an existing fleet; else they are generated."""
        values = self.read(serializers.DeviceIn)
        draft = DeviceDraft(name=values["device_name"], secret=values["device_secret"])
        result = self._create(values["product_key"], [draft])[0]
        if result.outcome is not Outcome.CREATED:
            raise checks.invalid(result.errors or {})
        return self.one(result.public_id, status.HTTP_201_CREATED)

    @extend_schema(
        summary="Create many devices",
        request=serializers.DevicesIn,
        responses=serializers.DevicesOut,
        examples=[
            OpenApiExample(
                "Two devices, one with a secret of its own",
                {
                    "product_key": "a1B2c3D4e5F",
                    "devices": [
                        {"device_name": "meter-0001"},
                        {"device_name": "meter-0002", "device_secret": "0123456789abcdef0123456789abcdef"},
                    ],
                },
                request_only=True,
            )
        ],
    )
    @action(detail=False, methods=["post"], filterset_class=None, pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """Up to 10,000 at once. A result per row, in order; a wrong or known row does not keep the others."""
        values = self.read(serializers.DevicesIn)
        results = self._create(values["product_key"], values["devices"])
        created_count = sum(result.outcome is Outcome.CREATED for result in results)
        answer = {
            "created_count": created_count,
            "failed_count": len(results) - created_count,
            "results": results,
        }
        return Response(serializers.DevicesOut(answer).data)

    @extend_schema(
        summary="Count devices",
        responses=serializers.SummaryOut,
        parameters=[OpenApiParameter("product_key", description="Only of this product.")],
    )
    @action(detail=False, filterset_class=filters.DeviceSummaryFilter, pagination_class=None)
    def summary(self, request: Request) -> Response:
        """Online, offline and never connected ones add up to the total."""
        self.filter_queryset(self.get_queryset())
        summary = selectors.device_summary(request.query_params.get("product_key", ""))
        return Response(serializers.SummaryOut(summary).data)

    @extend_schema(summary="Rotate a device's secret", request=serializers.SecretIn, responses=serializers.SecretOut)
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, id: str) -> Response:
        """Its session ends, and the old secret is refused."""
        given = self.read(serializers.SecretIn)["device_secret"]
        secret = device_commands.rotate_device_secret(device=id, secret=given, actor=self.actor(), now=self.now())
        return Response({"device_secret": secret})

    def _create(self, product: str, drafts: Sequence[DeviceDraft]) -> tuple[DeviceResult, ...]:
        results = device_commands.create_devices(product=product, drafts=drafts, actor=self.actor(), now=self.now())
        return tuple(replace(result, errors=self.renamed(result.errors or {})) for result in results)


@extend_schema(tags=["Groups"])
class GroupViewSet(ListModelMixin, RetrieveModelMixin, ApiViewSet[Any]):
    queryset = selectors.groups()
    filterset_class = filters.GroupFilterSet
    serializer_class = serializers.GroupOut
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = PUBLIC_ID
    field_names = {"product": "product_key"}

    @extend_schema(summary="List groups, newest first")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Static and dynamic ones."""
        return super().list(request, *args, **kwargs)

    @extend_schema(summary="Get a group")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Its devices are under `members/`."""
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(
        summary="Create a group",
        request=serializers.GroupIn,
        responses={201: serializers.GroupOut},
        examples=[
            OpenApiExample(
                "All devices whose name starts so and that run these versions",
                {
                    "product_key": "a1B2c3D4e5F",
                    "name": "north",
                    "kind": "DYNAMIC",
                    "filter": {"name_prefix": "north-", "module": "default", "versions": ["1.0.0", "1.0.1"]},
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Static: devices are listed. Dynamic: a filter, looked at whenever a device reports."""
        draft = serializers.GroupIn(data=request.data)
        draft.is_valid(raise_exception=True)
        created = group_commands.create_group(draft=draft.validated_data, actor=self.actor(), now=self.now())
        return self.one(created, status.HTTP_201_CREATED)

    @extend_schema(summary="Edit a group", request=serializers.GroupEdit)
    def partial_update(self, request: Request, id: str) -> Response:
        """A missing field stays; a filter is replaced as a whole and holds from now on."""
        values = self.read(serializers.GroupEdit)
        new_filter = values.pop("filter", None)
        group_commands.edit_group(group=id, **values, group_filter=new_filter, actor=self.actor(), now=self.now())
        return self.one(id)

    @extend_schema(summary="Delete a group", responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Refused (409) once update batches were launched for it."""
        group_commands.delete_group(group=id, actor=self.actor(), now=self.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="List the devices of a group", responses=serializers.DeviceOut(many=True), filters=False)
    @action(detail=True, filterset_class=None)
    def members(self, request: Request, id: str) -> Response:
        """Of a dynamic group: those that fit its filter now."""
        page = self.paginate_queryset(self.filter_queryset(selectors.group_devices(id)))
        return self.get_paginated_response(serializers.DeviceOut(page, many=True).data)

    @extend_schema(
        summary="Change the devices of a group", request=serializers.MembersIn, responses=serializers.MembersOut
    )
    @members.mapping.post
    def change_members(self, request: Request, id: str) -> Response:
        """Of a static group, by device name, up to 10,000 each. Repeating a request does no harm."""
        values = self.read(serializers.MembersIn)
        changed = group_commands.change_members(group=id, **values, actor=self.actor(), now=self.now())
        return Response(serializers.MembersOut(changed).data)
