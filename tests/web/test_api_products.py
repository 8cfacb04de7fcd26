"""Products and modules over the API."""

import pytest

from devices_app.models import Module, Product
from ota_console.audit.models import AuditEntry
from tests.api import Api
from tests.factories import make_device, make_package, make_product


def test_a_product_is_created_with_a_generated_key_and_secret(api: Api) -> None:
    """And with the module that means the whole device."""
    answer = api.post("products/", name="Smart_Meter")
    assert answer.status == 201
    assert len(answer.body["product_key"]) == 11
    assert len(answer.body["product_secret"]) == 32
    assert Module.objects.get().name == "default"
    assert AuditEntry.objects.get().action == "product.create"


def test_a_moving_fleets_product_keeps_its_key_and_secret(api: Api) -> None:
    """rules.md §5."""
    answer = api.post("products/", name="Meter", product_key="a1B2c3D4e5F", product_secret="k" * 16)
    assert answer.status == 201
    assert api.get("products/a1B2c3D4e5F/").body["product_secret"] == "k" * 16


def test_the_list_of_products_hides_their_secrets(api: Api) -> None:
    """Newest first."""
    first, second = make_product(), make_product()
    rows = api.get("products/").body["results"]
    assert [row["product_key"] for row in rows] == [second.product_key, first.product_key]
    assert "product_secret" not in rows[0]


@pytest.mark.parametrize("name", ["abc", "水", "x" * 31, "水" * 16, "a b c d", "näme", "<b>name"])
def test_a_wrong_product_name_is_named(api: Api, name: str) -> None:
    """4 to 30 characters, a Chinese one counting 2."""
    assert list(api.post("products/", name=name).errors()) == ["name"]


@pytest.mark.parametrize("name", ["abcd", "水表", "水" * 15, "Meter_01", "ア_イ"])
def test_a_right_product_name_is_taken(api: Api, name: str) -> None:
    """Chinese and Japanese too."""
    assert api.post("products/", name=name).status == 201


def test_names_and_keys_are_unique(api: Api) -> None:
    """Both mistakes are told."""
    api.post("products/", name="Meter", product_key="a1B2c3D4e5F")
    errors = api.post("products/", name="Meter", product_key="a1B2c3D4e5F").errors()
    assert errors.keys() == {"name", "product_key"}


def test_wrong_keys_and_secrets_are_named(api: Api) -> None:
    """Each field with its sentence."""
    errors = api.post("products/", name="Meter", product_key="a-b", product_secret="short").errors()
    assert errors == {
        "product_key": ["Use 4 to 32 letters and digits."],
        "product_secret": ["Use 8 to 64 visible ASCII characters without spaces."],
    }


def test_a_product_is_edited_part_by_part(api: Api) -> None:
    """What is not sent stays."""
    key = make_product().product_key
    answer = api.patch(f"products/{key}/", is_dynamic_registration_enabled=True)
    assert answer.body["is_dynamic_registration_enabled"] is True
    assert api.patch(f"products/{key}/", name="Another").body["name"] == "Another"
    assert Product.objects.get().is_dynamic_registration_enabled


def test_a_product_with_devices_cannot_be_deleted(api: Api) -> None:
    """rules.md §7."""
    device = make_device(make_product())
    answer = api.delete(f"products/{device.product.product_key}/")
    assert (answer.status, answer.body["code"]) == (409, "product_in_use")


def test_an_empty_product_is_deleted(api: Api) -> None:
    """With its modules."""
    key = make_product().product_key
    assert api.delete(f"products/{key}/").status == 204
    assert api.get(f"products/{key}/").status == 404
    assert api.delete(f"products/{key}/").body["code"] == "product_unknown"


def test_a_misspelt_field_is_refused(api: Api) -> None:
    """It is not ignored."""
    assert api.post("products/", name="Meter", product_kex="a1B2").errors() == {
        "product_kex": ["There is no such field."]
    }


def test_a_module_is_created_edited_and_deleted(api: Api) -> None:
    """Alias and description change, the name does not."""
    key = make_product().product_key
    created = api.post("modules/", product_key=key, name="radio.v2", alias="Radio")
    assert (created.status, created.body["alias"]) == (201, "Radio")
    edited = api.patch(f"modules/{key}/radio.v2/", description="The radio")
    assert (edited.body["alias"], edited.body["description"]) == ("Radio", "The radio")
    assert api.delete(f"modules/{key}/radio.v2/").status == 204
    assert api.get(f"modules/{key}/radio.v2/").body["code"] == "module_unknown"


def test_module_names_are_unique_whatever_their_case(api: Api) -> None:
    """`scanner` is `Scanner` (vendor reference §1.2)."""
    key = make_product().product_key
    api.post("modules/", product_key=key, name="scanner")
    assert list(api.post("modules/", product_key=key, name="Scanner").errors()) == ["name"]


def test_an_eleventh_custom_module_is_refused(api: Api) -> None:
    """Ten, besides `default`."""
    key = make_product().product_key
    codes = [api.post("modules/", product_key=key, name=f"m{number}").status for number in range(11)]
    assert codes == [201] * 10 + [409]


def test_used_modules_and_the_default_one_stay(api: Api) -> None:
    """Packages and reported versions hold a module."""
    product = make_product()
    key = product.product_key
    api.post("modules/", product_key=key, name="radio")
    make_package(product, module=Module.objects.get(name="radio"))
    assert api.delete(f"modules/{key}/radio/").body["code"] == "module_in_use"
    assert api.delete(f"modules/{key}/default/").body["code"] == "module_in_use"


def test_modules_are_listed_by_product(api: Api) -> None:
    """And by name, whatever its case."""
    first, second = make_product(), make_product()
    api.post("modules/", product_key=first.product_key, name="radio")
    rows = api.get("modules/", product_key=first.product_key).body["results"]
    assert [row["name"] for row in rows] == ["radio", "default"]
    assert len(api.get("modules/", name="DEFAULT").body["results"]) == 2
    assert api.post("modules/", product_key=second.product_key, name="a b").errors().keys() == {"name"}


def test_an_unknown_product_key_is_named(api: Api) -> None:
    """As the field that the API calls it."""
    errors = api.post("modules/", product_key="nobody", name="radio").errors()
    assert errors == {"product_key": ["There is no product with this key."]}
