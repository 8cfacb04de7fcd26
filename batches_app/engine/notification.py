"""The messages that tell a device of its update: built once per batch, finished per task with its own signed links.

Reads batches and package files, writes nothing. The wire format lives in `devices_app.protocol.payloads`.
"""

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

import orjson
from django.conf import settings

from batches_app.models import Batch
from devices_app.protocol import payloads
from devices_app.protocol.blocks import block_reply
from devices_app.protocol.payloads import FileDownload, MessageId, Notice, NoticeFile
from ota_console.core import ids
from packages_app import links
from packages_app.selectors import package_file, package_files, storage

MAX_BLOCK_BYTES: Final = 64 * 1024
"""The largest block of a download over MQTT; the vendor's client asks for 5 KiB (vendor reference §4.7)."""


@lru_cache(maxsize=1)
def _link_key(secret: str) -> bytes:
    return links.derive_key(secret)


KNOWN_BATCHES: Final = 64
"""Batches whose notice is kept in mind: more than push at the same time."""
_MARK: Final = ids.new_public_id()
"""Stands where a link belongs until it is cut out; nobody outside this process knows it."""


class _Told(NamedTuple):
    """What all tasks of a batch are told, with `_MARK` for links."""

    notice: Notice
    positions: tuple[int, ...]
    is_over_mqtt: bool


class _Template(NamedTuple):
    """What all tasks of a batch are told at one moment."""

    told: _Told
    pieces: tuple[bytes, ...]
    """A push with the links cut out, to be joined by them; one piece where there are none (over MQTT)."""


class Notifications:
    """Builds pushes and answers to pulls; reads each batch once.

    Use for one chunk or micro-batch, so that edits show soon.
    """

    def __init__(self, now: datetime) -> None:
        """`now` (aware UTC) dates the messages and starts the life of their links."""
        self._now = now
        self._expires_at = now + links.MAX_LIFETIME
        self._message_id = int(now.timestamp() * 1000)
        self._key = _link_key(settings.SECRET_KEY)
        self._base_url = links.checked_base_url(settings.DOWNLOAD_URL)
        self._templates: dict[int, _Template] = {}

    def push(self, batch_id: int, task_public_id: str, task_id: int) -> bytes:
        """The payload of the upgrade topic; also the answer to a legacy request.

        Put together from pieces that were encoded once: the text between the links is the same for all (hot path).
        """
        template = self._template(batch_id)
        if template.told.is_over_mqtt:
            return payloads.push(self._notice(template, task_public_id, task_id), self._message_id)
        payload = template.pieces[0]
        for position, piece in zip(template.told.positions, template.pieces[1:], strict=True):
            payload += orjson.dumps(self._url(task_public_id, position))[1:-1] + piece
        return payload

    def get_reply(self, batch_id: int, task_public_id: str, task_id: int, message_id: MessageId) -> bytes:
        """The answer to a pull that has an update."""
        return payloads.get_reply(self._notice(self._template(batch_id), task_public_id, task_id), message_id)

    def _template(self, batch_id: int) -> _Template:
        template = self._templates.get(batch_id)
        if template is None:
            template = self._templates[batch_id] = _template(batch_id, self._message_id)
        return template

    def _notice(self, template: _Template, task_public_id: str, task_id: int) -> Notice:
        if template.told.is_over_mqtt:
            return replace(template.told.notice, stream_id=task_id)
        files = tuple(
            replace(file, url=self._url(task_public_id, position))
            for file, position in zip(template.told.notice.files, template.told.positions, strict=True)
        )
        return replace(template.told.notice, files=files)

    def _url(self, task_public_id: str, position: int) -> str:
        link = links.Link(links.LinkKind.DEVICE, task_public_id, position)
        path = links.signed_path(link, now=self._now, expires_at=self._expires_at, key=self._key)
        return self._base_url + path


def _template(batch_id: int, message_id: int) -> _Template:
    """One query for a batch that was read before and not edited since."""
    versions = Batch.objects.values_list("public_id", "updated_at", "package__updated_at").get(pk=batch_id)
    told = _told_by(*versions)
    return _Template(told, tuple(payloads.push(told.notice, message_id).split(_MARK.encode())))


@lru_cache(maxsize=KNOWN_BATCHES)
def _told_by(public_id: str, _updated_at: datetime, _package_updated_at: datetime) -> _Told:
    """Every edit of a batch, its tags included, or of its package moves one of the times (files never change)."""
    batch = Batch.objects.select_related("package", "module").prefetch_related("tags").get(public_id=public_id)
    package = batch.package
    files = package_files(package.pk)
    notice = Notice(
        version=batch.target_version,
        sign_method=package.sign_method,
        files=tuple(NoticeFile(f.name, f.size_bytes, _MARK, f.md5, f.sha256) for f in files),
        module=batch.module.name,
        is_delta=package.kind == package.Kind.DELTA,
        tags={tag.key: tag.value for tag in batch.tags.all()},
        custom_info=package.custom_info,
    )
    return _Told(notice, tuple(f.position for f in files), batch.download_protocol == Batch.Protocol.MQTT)


def read_block(package_id: int, request: FileDownload) -> bytes | None:
    """The answer to a request for a block; None where it lies outside the file or is larger than we give."""
    file = package_file(package_id, request.file_id)
    if file is None or not 0 < request.size <= MAX_BLOCK_BYTES or not 0 <= request.offset < file.size_bytes:
        return None
    with storage().open(file.stored_name) as stored:
        stored.seek(request.offset)
        data = stored.read(request.size)
    return block_reply(request, file.size_bytes, data)
