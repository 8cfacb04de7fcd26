"""Device lists from names and from uploaded files."""

import csv
from datetime import datetime
from io import BytesIO, StringIO
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from batches_app.commands import device_lists
from batches_app.commands.device_lists import CreatedList, create_device_list, upload_device_list
from batches_app.models import DeviceList, DeviceListEntry
from devices_app.models import Product
from ota_console.core.errors import Invalid
from tests.campaign import OPERATOR
from tests.factories import make_device, make_devices, make_product

pytestmark = pytest.mark.django_db


@pytest.fixture
def product() -> Product:
    product = make_product()
    make_device(product, name="meter-a")
    make_device(product, name="meter-b")
    return product


def upload(product: Product, content: bytes, now: datetime) -> CreatedList:
    return upload_device_list(
        product=product.product_key, file=BytesIO(content), file_name="fleet.csv", actor=OPERATOR, now=now
    )


def bad_lines(made: CreatedList) -> list[dict[str, Any]]:
    return list(csv.DictReader(StringIO(DeviceList.objects.get(pk=made.device_list_id).bad_lines)))


def names_on(made: CreatedList) -> set[str]:
    return set(DeviceListEntry.objects.filter(device_list=made.device_list_id).values_list("device__name", flat=True))


def test_a_clean_file(product: Product, now: datetime) -> None:
    """Header, quotes and line ends are tolerated; nothing is left out."""
    made = upload(product, b'\xef\xbb\xbfDeviceName\r\n"meter-a"\r\nmeter-b\r\n', now)
    assert (made.device_count, made.bad_line_count, bad_lines(made)) == (2, 0, [])
    assert names_on(made) == {"meter-a", "meter-b"}


def test_bad_lines_come_back_with_number_and_reason(product: Product, now: datetime) -> None:
    """rules.md §4: as a file to be downloaded."""
    made = upload(product, b"meter-a\nmeter-x\nx\nmeter-a\nmeter-b\n", now)
    assert (made.device_count, made.bad_line_count) == (2, 3)
    assert bad_lines(made) == [
        {"line": "2", "name": "meter-x", "reason": "The product has no device of this name."},
        {
            "line": "3",
            "name": "x",
            "reason": "A device name has 4 to 32 letters, digits and the characters - _ @ . :",
        },
        {"line": "4", "name": "meter-a", "reason": "The device is on the list already."},
    ]


def test_a_repeated_name_is_found_across_chunks(
    product: Product, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are resolved some thousands at a time."""
    monkeypatch.setattr(device_lists, "CHUNK", 1)
    made = upload(product, b"meter-a\nmeter-b\nmeter-a\n", now)
    assert (made.device_count, bad_lines(made)[0]["line"]) == (2, "3")


def test_devices_of_other_products_are_unknown(product: Product, now: datetime) -> None:
    """Names are unique within a product only."""
    make_device(make_product(), name="other-1")
    assert upload(product, b"meter-a\nother-1\n", now).bad_line_count == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x" * (5 * 1024 * 1024 + 1), "The file is larger than 5 MB. Split it into several batches."),
        ("meter-a\n".encode("utf-16"), "The file is not UTF-8 text. Save it as CSV in UTF-8."),
        (b"", "No device is named. Write one device name per line."),
        (b"DeviceName\n\n", "No device is named. Write one device name per line."),
        (b"meter-x\n", "The product has no device with any of these names."),
    ],
)
def test_a_file_that_is_refused(product: Product, now: datetime, content: bytes, message: str) -> None:
    """Nothing is left behind."""
    with pytest.raises(Invalid) as refused:
        upload(product, content, now)
    assert refused.value.errors == {"file": [message]}
    assert not DeviceList.objects.exists()


def test_too_many_names_are_refused(product: Product, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """rules.md §4: up to 1,000,000; counted before anything is written."""
    monkeypatch.setattr(device_lists, "MAX_NAMES", 1)
    with pytest.raises(Invalid) as refused:
        upload(product, b"meter-a\nmeter-b\n", now)
    assert refused.value.errors == {"file": ["More than 1,000,000 devices are named. Split them into several batches."]}


def test_bad_lines_are_kept_up_to_a_bound(product: Product, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are counted."""
    monkeypatch.setattr(device_lists, "MAX_BAD_LINES", 2)
    made = upload(product, b"meter-a\nnone-1\nnone-2\nnone-3\n", now)
    assert (made.bad_line_count, len(bad_lines(made))) == (3, 2)


def test_names_that_were_ticked(product: Product, now: datetime) -> None:
    """The same, without a file."""
    made = create_device_list(
        product=product.product_key, names=["meter-a", "meter-a\n", "bad\nname"], actor=OPERATOR, now=now
    )
    assert (made.device_count, made.bad_line_count) == (1, 2)


def test_an_unknown_product(now: datetime) -> None:
    """Names mean nothing without one."""
    with pytest.raises(Invalid, match="no product with this key"):
        create_device_list(product="nowhere", names=["meter-a"], actor=OPERATOR, now=now)


def test_a_long_list_takes_a_query_or_three_a_chunk(product: Product, now: datetime) -> None:
    """Set-based: not one a name."""
    names = [device.name for device in make_devices(product, 6_000)]
    with CaptureQueriesContext(connection) as queries:
        made = create_device_list(product=product.product_key, names=names, actor=OPERATOR, now=now)
    assert made.device_count == 6_000
    assert len(queries) <= 20
