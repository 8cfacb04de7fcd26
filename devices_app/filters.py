"""What lists of products, modules, devices and groups may be narrowed to."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from devices_app.models import Device, DeviceGroup, Module, Product
from devices_app.selectors import product_ids
from ota_console.web.rest import NameFilter


class ProductFilter(filters.FilterSet):
    product_key = filters.CharFilter()
    name = filters.CharFilter()

    class Meta:
        model = Product
        fields = ("product_key", "name")


class ModuleFilter(filters.FilterSet):
    product_key = filters.CharFilter(field_name="product__product_key")
    name = filters.CharFilter(lookup_expr="iexact")

    class Meta:
        model = Module
        fields = ("product_key", "name")


class DeviceFilter(filters.FilterSet):
    product_key = filters.CharFilter(field_name="product__product_key")
    device_name = filters.CharFilter(method="with_name")
    module = filters.CharFilter(method="with_version", label="Name of a module, with `version`.")
    version = filters.CharFilter(method="with_version", label="Version that `module` (default) last reported.")

    class Meta:
        model = Device
        fields = ("product_key", "device_name", "is_online", "is_enabled", "module", "version")

    def with_name(self, queryset: QuerySet[Device], name: str, value: str) -> QuerySet[Device]:
        """Names are unique in a product, and indexed so."""
        products = product_ids(self.form.cleaned_data["product_key"])
        return queryset.filter(product_id__in=products, name=value)

    def with_version(self, queryset: QuerySet[Device], name: str, value: str) -> QuerySet[Device]:
        """Module and version hold together, of one reported version, whichever of the two comes here first."""
        wanted = self.form.cleaned_data
        if name == "module" and wanted["version"]:
            return queryset
        lookups = {"versions__module__name__iexact": wanted["module"] or "default"}
        if wanted["version"]:
            lookups["versions__version"] = wanted["version"]
        return queryset.filter(**lookups)


class DeviceSummaryFilter(filters.FilterSet):
    product_key = filters.CharFilter(field_name="product__product_key")

    class Meta:
        model = Device
        fields = ("product_key",)


class GroupFilterSet(filters.FilterSet):
    product_key = filters.CharFilter(field_name="product__product_key")
    name = filters.CharFilter()
    kind = NameFilter(DeviceGroup.Kind)

    class Meta:
        model = DeviceGroup
        fields = ("product_key", "name", "kind")


class DeviceListFilter(filters.FilterSet):
    """The console's list: `?q=&product=&presence=`. Unknown values are ignored: a link may be older than the page."""

    q = filters.CharFilter(method="search")
    product = filters.CharFilter(field_name="product__product_key")
    presence = filters.CharFilter(method="by_presence")

    class Meta:
        model = Device
        fields = ("q", "product", "presence")

    def search(self, rows: QuerySet[Device], _name: str, value: str) -> QuerySet[Device]:
        """Part of the name."""
        return rows.filter(name__icontains=value.strip()[:64])

    def by_presence(self, rows: QuerySet[Device], _name: str, value: str) -> QuerySet[Device]:
        """The same parts as in `selectors.DeviceSummary`."""
        parts = {
            "online": {"is_online": True},
            "offline": {"is_online": False, "activated_at__isnull": False},
            "never": {"is_online": False, "activated_at__isnull": True},
            "disabled": {"is_enabled": False},
        }
        return rows.filter(**parts.get(value, {}))
