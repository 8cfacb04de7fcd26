"""What lists of packages may be narrowed to.

In the console unknown values are ignored, as a link may be older than the page; the API refuses them.
"""

from typing import Final

import django_filters
from django.db.models import Q, QuerySet

from ota_console.web.rest import NameFilter, NamesFilter
from packages_app.models import UpdatePackage

MAX_SEARCH_LENGTH: Final = 64


class PackageFilter(django_filters.FilterSet):
    """`?q=&product=&module=&status=&type=`; a product by its key, a module by its name."""

    q = django_filters.CharFilter(method="search")
    product = django_filters.CharFilter(field_name="product__product_key")
    module = django_filters.CharFilter(field_name="module__name")
    status = django_filters.ChoiceFilter(choices=UpdatePackage.Status.choices)
    type = django_filters.ChoiceFilter(choices=UpdatePackage.Kind.choices, field_name="kind")

    class Meta:
        model = UpdatePackage
        fields = ("q", "product", "module", "status", "type")

    def search(self, rows: QuerySet[UpdatePackage], _name: str, value: str) -> QuerySet[UpdatePackage]:
        """Part of the name or version, or the whole id."""
        words = value.strip()[:MAX_SEARCH_LENGTH]
        return rows.filter(Q(public_id=words) | Q(name__icontains=words) | Q(version__icontains=words))


class PackageApiFilter(django_filters.FilterSet):
    """The API's filters: names, not numbers."""

    product_key = django_filters.CharFilter(field_name="product__product_key")
    module = django_filters.CharFilter(field_name="module__name", lookup_expr="iexact")
    name = django_filters.CharFilter()
    version = django_filters.CharFilter()
    kind = NameFilter(UpdatePackage.Kind)
    status = NamesFilter(UpdatePackage.Status)

    class Meta:
        model = UpdatePackage
        fields = ("product_key", "module", "name", "version", "kind", "status")
