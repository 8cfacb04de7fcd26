"""Create, edit and delete products. Key and secret may be given, so that an existing fleet can move (rules.md §5)."""

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from devices_app.commands import checks
from devices_app.commands.trail import note
from devices_app.models import DEFAULT_MODULE, Module, Product
from ota_console.audit.actor import Actor
from ota_console.audit.commands import Target
from ota_console.core.errors import Conflict, NotFound
from ota_console.core.ids import new_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCreated:
    """The product exists, with its module `default`."""

    product_key: str
    product_secret: str


def create_product(
    *,
    name: str,
    actor: Actor,
    now: datetime,
    product_key: str = "",
    product_secret: str = "",
    is_dynamic_registration_enabled: bool = False,
) -> ProductCreated:
    """Create a product; an empty key or secret is generated. Raises `Invalid` by argument name."""
    errors = checks.found(
        name=checks.check_product_name(name),
        product_key=checks.check_product_key(product_key) if product_key else [],
        product_secret=checks.check_secret(product_secret) if product_secret else [],
    )
    if errors:
        raise checks.invalid(errors)
    key, secret = product_key or new_secret(11), product_secret or new_secret()
    try:
        with transaction.atomic():
            product = Product.objects.create(
                product_key=key,
                product_secret=secret,
                name=name,
                is_dynamic_registration_enabled=is_dynamic_registration_enabled,
                created_at=now,
            )
            Module.objects.create(product=product, name=DEFAULT_MODULE, created_at=now)
            note(actor, "product.create", Target("product", key), now, name=name)
    except IntegrityError as error:
        raise checks.invalid(_taken(name, key)) from error
    return ProductCreated(product_key=key, product_secret=secret)


def edit_product(
    *,
    product: str,
    actor: Actor,
    now: datetime,
    name: str | None = None,
    is_dynamic_registration_enabled: bool | None = None,
) -> None:
    """Change name or dynamic registration; None keeps one. `product` is a product key. Raises `NotFound`, `Invalid`."""
    if name is not None and (problems := checks.check_product_name(name)):
        raise checks.invalid({"name": problems})
    given = {"name": name, "is_dynamic_registration_enabled": is_dynamic_registration_enabled}
    values = {field: value for field, value in given.items() if value is not None}
    products = Product.objects.filter(product_key=product)
    try:
        with transaction.atomic():
            is_known = products.update(**values) if values else products.exists()
            if is_known and values:
                note(actor, "product.edit", Target("product", product), now, changed=sorted(values))
    except IntegrityError as error:
        raise checks.invalid({"name": [_name_taken()]}) from error
    if not is_known:
        raise _unknown()


def delete_product(*, product: str, actor: Actor, now: datetime) -> None:
    """Delete a product without devices and packages. Raises `NotFound`, `Conflict` code `product_in_use`."""
    try:
        with transaction.atomic():
            row = Product.objects.select_for_update().filter(product_key=product).first()
            if row is None:
                raise _unknown()
            row.modules.all().delete()
            row.delete()
            note(actor, "product.delete", Target("product", product), now, name=row.name)
    except (ProtectedError, IntegrityError) as error:
        message = _("This product has devices, groups or update packages. Remove them first.")
        raise Conflict("product_in_use", message) from error


def _taken(name: str, key: str) -> checks.Errors:
    errors = checks.found(
        name=[_name_taken()] if Product.objects.filter(name=name).exists() else [],
        product_key=[_("Another product has this key.")] if Product.objects.filter(product_key=key).exists() else [],
    )
    return errors or {"name": [_name_taken()]}


def _name_taken() -> str:
    return _("Another product has this name. Choose another name.")


def _unknown() -> NotFound:
    return NotFound("product_unknown", _("There is no product with this key."))
