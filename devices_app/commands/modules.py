"""Create, edit and delete the modules of a product (vendor reference §1.2). `default` always exists."""

from datetime import datetime
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from devices_app.commands import checks
from devices_app.commands.trail import note
from devices_app.models import DEFAULT_MODULE, Module, Product
from ota_console.audit.actor import Actor
from ota_console.audit.commands import Target
from ota_console.core.errors import Conflict, NotFound

MAX_CUSTOM_MODULES: Final = 10
"""Per product, besides `default`."""


def create_module(
    *, product: str, name: str, actor: Actor, now: datetime, alias: str = "", description: str = ""
) -> None:
    """Add a module to the product with this product key.

    Raises `Invalid` by argument name, `Conflict` code `too_many_modules`.
    """
    errors = checks.found(
        name=checks.check_module_name(name),
        alias=checks.check_alias(alias),
        description=checks.check_description(description),
    )
    if errors:
        raise checks.invalid(errors)
    with transaction.atomic():
        row = Product.objects.select_for_update(no_key=True).filter(product_key=product).first()
        if row is None:
            raise checks.invalid({"product": [_("There is no product with this key.")]})
        _refuse_taken_or_too_many(row, name)
        Module.objects.create(product=row, name=name, alias=alias, description=description, created_at=now)
        note(actor, "module.create", Target("product", product), now, module=name)


def edit_module(
    *, product: str, module: str, actor: Actor, now: datetime, alias: str | None = None, description: str | None = None
) -> None:
    """Change alias or description; None keeps one. The name never changes: devices report it.

    `product` is a product key, `module` a name. Raises `NotFound`, `Invalid`.
    """
    given = {"alias": alias, "description": description}
    values = {field: value for field, value in given.items() if value is not None}
    errors = checks.found(
        alias=checks.check_alias(alias or ""), description=checks.check_description(description or "")
    )
    if errors:
        raise checks.invalid(errors)
    modules = Module.objects.filter(product__product_key=product, name=module)
    with transaction.atomic():
        if not (modules.update(**values) if values else modules.exists()):
            raise _unknown()
        if values:
            note(actor, "module.edit", Target("product", product), now, module=module, changed=sorted(values))


def delete_module(*, product: str, module: str, actor: Actor, now: datetime) -> None:
    """Delete a module without packages and reported versions. Raises `NotFound`, `Conflict` code `module_in_use`."""
    if module == DEFAULT_MODULE:
        raise Conflict("module_in_use", _("The default module means the whole device. It cannot be deleted."))
    try:
        with transaction.atomic():
            deleted, _by_model = Module.objects.filter(product__product_key=product, name=module).delete()
            if not deleted:
                raise _unknown()
            note(actor, "module.delete", Target("product", product), now, module=module)
    except (ProtectedError, IntegrityError) as error:
        message = _("Update packages or devices use this module. It stays.")
        raise Conflict("module_in_use", message) from error


def _refuse_taken_or_too_many(product: Product, name: str) -> None:
    """The product's row is locked, so that two at once cannot both be the tenth."""
    if product.modules.filter(name__iexact=name).exists():
        raise checks.invalid(
            {"name": [_("This product has a module of this name. Upper and lower case count as the same.")]}
        )
    if product.modules.exclude(name=DEFAULT_MODULE).count() >= MAX_CUSTOM_MODULES:
        message = _("A product has at most %(count)d modules besides the default one.")
        raise Conflict("too_many_modules", message % {"count": MAX_CUSTOM_MODULES})


def _unknown() -> NotFound:
    return NotFound("module_unknown", _("This product has no module of this name."))
