"""Dynamic registration: a device that knows only its product's secret gets a secret of its own (interop.md 8)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn

import structlog
from django.utils.translation import gettext as _

from devices_app.commands.devices import DeviceDraft, Outcome, create_devices
from devices_app.models import Device, Product
from devices_app.protocol.credentials import is_registration_right
from ota_console.audit.actor import Actor
from ota_console.core.errors import Forbidden

REGISTRATION: Final = Actor(None, "dynamic registration")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a device sends, over MQTT or HTTP; `sign` proves the product's secret."""

    product_key: str
    device_name: str
    random: str
    sign: str
    sign_method: str


def register_device(*, registration: Registration, now: datetime) -> str:
    """The secret of the device, which is created if it does not exist. Off unless the product allows it.

    A device that has been online keeps its secret to itself: the product's secret, known to every device of the
    product, must not open it. Raises `Forbidden`, which does not tell the caller why.
    """
    product = Product.objects.filter(product_key=registration.product_key).first()
    if product is None or not registration.device_name:
        _refuse(registration, "unknown_product_or_no_name")
    if not product.is_dynamic_registration_enabled:
        _refuse(registration, "not_allowed_for_product")
    if not _is_signed(registration, product.product_secret):
        _refuse(registration, "wrong_sign")
    draft = DeviceDraft(name=registration.device_name)
    made = create_devices(product=product.product_key, drafts=[draft], actor=REGISTRATION, now=now)[0]
    if made.outcome is Outcome.INVALID:
        _refuse(registration, "invalid_name")
    device = Device.objects.get(product=product, name=registration.device_name)
    if not device.is_enabled or device.activated_at is not None:
        _refuse(registration, "disabled_or_in_use")
    is_new = made.outcome is Outcome.CREATED
    log.info("device_registered", product=product.product_key, device=device.name, is_new=is_new)
    return device.secret


def _is_signed(registration: Registration, product_secret: str) -> bool:
    return is_registration_right(
        product_key=registration.product_key,
        device_name=registration.device_name,
        random=registration.random,
        sign=registration.sign,
        sign_method=registration.sign_method,
        product_secret=product_secret,
    )


def _refuse(registration: Registration, reason: str) -> NoReturn:
    log.info("registration_refused", product=registration.product_key, device=registration.device_name, reason=reason)
    raise Forbidden("registration_refused", _("This device cannot be registered."))
