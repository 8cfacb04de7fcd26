"""What the address of the package list says. Unknown values are ignored, as a link may be older than the page."""

from typing import Final

import django_filters
from django.db.models import Q, QuerySet

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
