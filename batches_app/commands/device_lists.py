"""Device lists: the names that a SPECIFIC batch is for, ticked, typed or uploaded as CSV/TXT (rules.md §4).

Names are resolved in chunks by set-based statements; a list of a million names is never held in memory as objects.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from itertools import islice
from typing import BinaryIO, Final

from django.db import transaction
from django.utils.translation import gettext

from batches_app.domain.name_lists import SENTENCES, Bad, Line, read_lines
from batches_app.models import DeviceList
from batches_app.sql import lists as sql
from devices_app.models import Product
from ota_console.audit import commands as audit
from ota_console.audit.actor import Actor
from ota_console.core.errors import Invalid
from ota_console.core.ids import new_public_id

MAX_UPLOAD_BYTES: Final = 5 * 1024 * 1024
"""Vendor reference §2.2."""
MAX_NAMES: Final = 1_000_000
"""rules.md §4."""
MAX_BAD_LINES: Final = 100_000
"""Bad lines that are kept for the download: some megabytes of text; all are counted."""
CHUNK: Final = 5_000
"""Names in one transaction: SQLite has one writer, who must not write for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedList:
    """A list and what was left out of it.

    The bad lines are downloadable as CSV `line,name,reason` (`DeviceList.bad_lines`).
    """

    device_list_id: int
    public_id: str
    device_count: int
    bad_line_count: int


def create_device_list(*, product: str, names: Sequence[str], actor: Actor, now: datetime) -> CreatedList:
    """A list of the named devices of the product with this product key.

    Unknown, malformed and repeated names become bad lines. Raises `Invalid` {"product"}, and {"device_names"}
    where nothing or more than `MAX_NAMES` is named, or nothing that exists.
    """
    return _create("device_names", product, "\n".join(name.replace("\n", " ") for name in names), "", actor, now)


def upload_device_list(*, product: str, file: BinaryIO, file_name: str, actor: Actor, now: datetime) -> CreatedList:
    """A list from a CSV or TXT file, one device name a line.

    UTF-8 with or without BOM, any line ends, quotes, a header line. Raises `Invalid` {"product"}, and {"file"}
    where the file is larger than `MAX_UPLOAD_BYTES`, names more than `MAX_NAMES`, is not UTF-8 text, or names no device
    at all.
    """
    content = file.read(MAX_UPLOAD_BYTES + 1)
    if len(content) > MAX_UPLOAD_BYTES:
        raise _invalid("file", gettext("The file is larger than 5 MB. Split it into several batches."))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _invalid("file", gettext("The file is not UTF-8 text. Save it as CSV in UTF-8.")) from None
    return _create("file", product, text, file_name[:255], actor, now)


def _invalid(field: str, message: str) -> Invalid:
    return Invalid("device_list_invalid", message, field)


def _create(field: str, product_key: str, text: str, file_name: str, actor: Actor, now: datetime) -> CreatedList:
    product = Product.objects.filter(product_key=product_key).first()
    if product is None:
        raise _invalid("product", gettext("There is no product with this key."))
    name_count = sum(1 for _ in read_lines(text))
    if name_count == 0:
        raise _invalid(field, gettext("No device is named. Write one device name per line."))
    if name_count > MAX_NAMES:
        raise _invalid(field, gettext("More than 1,000,000 devices are named. Split them into several batches."))
    made = DeviceList.objects.create(
        public_id=new_public_id(now),
        product=product,
        file_name=file_name,
        created_by_id=actor.user_id,
        created_at=now,
    )
    report = _fill(made, read_lines(text))
    if report.device_count == 0:
        made.delete()
        raise _invalid(field, gettext("The product has no device with any of these names."))
    _settle(made, report, actor, now)
    return CreatedList(
        device_list_id=made.pk,
        public_id=made.public_id,
        device_count=report.device_count,
        bad_line_count=report.count,
    )


def _settle(made: DeviceList, report: "_Report", actor: Actor, now: datetime) -> None:
    """Write down what came of the list, and who made it."""
    with transaction.atomic():
        made.device_count, made.bad_line_count, made.bad_lines = report.device_count, report.count, report.text()
        made.save(update_fields=["device_count", "bad_line_count", "bad_lines"])
        audit.record(
            actor_id=actor.user_id,
            actor_name=actor.name,
            action="device_list.create",
            target=audit.Target("device_list", made.public_id),
            now=now,
            details={"devices": report.device_count, "bad_lines": report.count, "file_name": made.file_name},
        )


class _Report:
    """Counts, and the bad lines as CSV text."""

    def __init__(self) -> None:
        self.device_count = 0
        self.count = 0
        self._text = StringIO()
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow(("line", "name", "reason"))

    def bad(self, line: int, name: str, why: Bad) -> None:
        """Note a line that adds no device."""
        self.count += 1
        if self.count <= MAX_BAD_LINES:
            self._csv.writerow((line, name, gettext(SENTENCES[why])))

    def text(self) -> str:
        """All of it; empty where no line was bad."""
        return self._text.getvalue() if self.count else ""


def _fill(made: DeviceList, lines: Iterable[Line]) -> _Report:
    report = _Report()
    for chunk in _chunks(lines):
        with transaction.atomic():
            _add(made, chunk, report)
    return report


def _chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    rest = iter(lines)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _add(made: DeviceList, chunk: Sequence[Line], report: _Report) -> None:
    bad: list[tuple[int, str, Bad]] = []
    first: dict[str, int] = {}
    for line in chunk:
        if not line.is_well_formed:
            bad.append((line.number, line.name, Bad.MALFORMED))
        elif line.name in first:
            bad.append((line.number, line.name, Bad.DUPLICATE))
        else:
            first[line.name] = line.number
    named = [(number, name) for name, number in first.items()]
    for line_number, name, is_known in sql.left_out(made.pk, made.product_id, named):
        bad.append((line_number, name, Bad.DUPLICATE if is_known else Bad.UNKNOWN))
    for line_number, name, why in sorted(bad, key=lambda item: item[0]):
        report.bad(line_number, name, why)
    report.device_count += sql.add_entries(made.pk, made.product_id, named)
