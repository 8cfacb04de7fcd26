"""What devices said, applied: one micro-batch of messages in one transaction (architecture; hotpath.md).

Devices are resolved in one query, rows are locked in the one lock order (devices, tasks, counters), `domain.states`
decides in the order of arrival, and a few set-based statements write. Runs inside the caller's transaction, which
acknowledges to the broker after its commit. Must not talk to the broker itself: replies are returned.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from batches_app.domain.states import (
    IN_PROGRESS,
    NOTIFIED,
    SUCCEEDED,
    DeviceFailure,
    Progress,
    Pulled,
    Verdict,
    VersionReported,
)
from batches_app.domain.versions import is_older
from batches_app.engine.arrivals import Arrivals, Known
from batches_app.engine.device_log import DeviceLog
from batches_app.engine.notification import Notifications, read_block
from batches_app.sql import tasks as task_sql
from batches_app.transitions import LockedTask, Transitions
from devices_app import presence, sql
from devices_app.commands.module_directory import ModuleDirectory, TooManyModules
from devices_app.protocol import payloads, topics
from devices_app.protocol.payloads import (
    Dropped,
    Echo,
    FileDownload,
    Inbound,
    LegacyRequest,
    Presence,
    ProgressReport,
    PullRequest,
    VersionReport,
)
from ota_console.outbox import commands as outbox
from ota_console.outbox import events

TELLERS: Final = (VersionReport, PullRequest, LegacyRequest)
"""Messages that are judged by what their device reported before."""
Reply = tuple[str, bytes]
DeviceModule = tuple[int, int]


class Change(NamedTuple):
    """A report that differs from the one before it."""

    version: str
    previous: str


@dataclass(slots=True)
class IngestResult:
    """What is left to do after the commit: publish replies (topic, payload). Counts are for the log."""

    replies: list[Reply] = field(default_factory=list)
    applied_count: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def ingest(messages: Sequence[Inbound], now: datetime) -> IngestResult:
    """Apply messages in their order. Call inside `transaction.atomic()`; applying them again changes nothing more."""
    return _Ingest(messages, now).run()


class _Ingest:
    """The state of one micro-batch."""

    def __init__(self, messages: Sequence[Inbound], now: datetime) -> None:
        self.now = now
        self.replies: list[Reply] = []
        self.log = DeviceLog(now)
        self.moves = Transitions(now)
        self.notifications = Notifications(now)
        self.modules = ModuleDirectory(now)
        self.arrivals = Arrivals(messages, now)
        self.tasks: defaultdict[int, list[LockedTask]] = defaultdict(list)
        self.versions: dict[DeviceModule, str] = {}
        self.changes: defaultdict[DeviceModule, list[Change]] = defaultdict(list)
        self.known = [known for message in messages if (known := self._from_known_device(message)) is not None]

    def run(self) -> IngestResult:
        moved = self.arrivals.move(self.known)
        self._lock_tasks()
        self._load_versions()
        by_id = self.arrivals.by_id
        for message, device_id in self.known:
            event = moved.get(id(message)) if moved else None
            if event is not None:
                for task in self.tasks[device_id]:
                    self.moves.apply(task, event)
            self._one(message, by_id[device_id])
        self._write()
        return IngestResult(self.replies, len(self.known), self.log.dropped)

    def _from_known_device(self, message: Inbound) -> Known | None:
        """The message with its sender; None where there is nothing to apply."""
        sender = self.arrivals.find(message)
        if isinstance(message, Echo):
            return None
        if isinstance(message, Dropped):
            self.log.drop(None if sender is None else sender.id, message.reason.value, message.detail)
        elif sender is None:
            self.log.drop(None, "unknown_device")
        elif not sender.is_enabled and not isinstance(message, Presence):
            self.log.drop(sender.id, "device_disabled")
        else:
            return message, sender.id
        return None

    # --- rows --------------------------------------------------------------------------------------------------------

    def _lock_tasks(self) -> None:
        ids = {device_id for _, device_id in self.known}
        if not ids:
            return
        for task in self.moves.lock_open(ids):
            if task.device_id is not None:
                self.tasks[task.device_id].append(task)

    def _load_versions(self) -> None:
        ids = {device_id for message, device_id in self.known if isinstance(message, TELLERS)}
        if not ids:
            return
        self.versions = {(device, module): version for device, module, version in sql.read_versions(ids)}

    # --- one message -------------------------------------------------------------------------------------------------

    def _one(self, message: Inbound, sender: presence.Sender) -> None:
        match message:
            case ProgressReport():
                self._progress(message, sender)
            case VersionReport():
                self._version(sender, message.module, message.version)
            case PullRequest():
                self._pull(message, sender)
            case LegacyRequest():
                self._version(sender, payloads.DEFAULT_MODULE, message.version)
                self._legacy_pull(message, sender)
            case FileDownload():
                self._download(message, sender)
            case Presence(is_connect=True) if not sender.is_enabled:  # let in before it was disabled
                self.replies.append((topics.session_end(message.product_key, message.device_name), b""))

    def _module(self, sender: presence.Sender, name: str) -> int | None:
        try:
            return self.modules.find_or_create(sender.product_id, name)
        except TooManyModules:
            self.log.drop(sender.id, "too_many_modules", name)
            return None

    def _open_task(self, sender: presence.Sender, module_id: int | None) -> LockedTask | None:
        """The unfinished task that holds the device's lane for this module; the database keeps it at most one."""
        for task in self.tasks[sender.id]:
            if task.module_id == module_id and task.facts.status < SUCCEEDED:
                return task
        return None

    def _progress(self, message: ProgressReport, sender: presence.Sender) -> None:
        module_id = self.modules.find(sender.product_id, message.module)
        if module_id is None:
            self.log.drop(sender.id, "unknown_module", message.module)
            return
        task = self._open_task(sender, module_id)
        is_failure = message.step < 0
        if task is None:
            if is_failure:
                self.log.note(sender.id, "failure_without_update", f"{message.step} {message.desc}")
            return
        event = DeviceFailure(message.step, message.desc) if is_failure else Progress(message.step, message.desc)
        if self.moves.apply(task, event).verdict is Verdict.RECORDED:
            reason = "failure_recorded" if is_failure else "progress_recorded"
            self.log.note(sender.id, reason, f"{message.step} {message.desc}")

    def _version(self, sender: presence.Sender, module: str, version: str) -> None:
        module_id = self._module(sender, module)
        if module_id is None:
            return
        key = (sender.id, module_id)
        previous = self.versions.get(key, "")
        if version != previous:
            self.versions[key] = version
            self.changes[key].append(Change(version, previous))
        for task in self.tasks[sender.id]:
            if task.module_id != module_id:
                continue
            if self.moves.apply(task, _reported(task, version, previous)).verdict is Verdict.RECORDED:
                self.log.note(sender.id, "version_recorded", version)

    def _pull(self, message: PullRequest, sender: presence.Sender) -> None:
        topic = topics.firmware_get_reply(message.product_key, message.device_name)
        module_id = self.modules.find(sender.product_id, message.module)
        task = self._hand_out(sender, module_id)
        if task is None:
            self.replies.append((topic, payloads.empty_get_reply(message.id)))
            return
        self.replies.append((topic, self.notifications.get_reply(task.batch.id, task.public_id, task.id, message.id)))

    def _legacy_pull(self, message: LegacyRequest, sender: presence.Sender) -> None:
        module_id = self.modules.find(sender.product_id, payloads.DEFAULT_MODULE)
        task = self._hand_out(sender, module_id)
        if task is not None:
            topic = topics.legacy_request(message.product_key, message.device_name)
            self.replies.append((topic, self.notifications.push(task.batch.id, task.public_id, task.id)))

    def _hand_out(self, sender: presence.Sender, module_id: int | None) -> LockedTask | None:
        task = self._open_task(sender, module_id)
        if task is None:
            return None
        current = self.versions.get((sender.id, task.module_id), "")
        verdict = self.moves.apply(task, Pulled(current)).verdict
        is_handed_out = verdict is Verdict.APPLIED and task.facts.status in (NOTIFIED, IN_PROGRESS)
        return task if is_handed_out else None

    def _download(self, message: FileDownload, sender: presence.Sender) -> None:
        """A block of a file over MQTT (vendor reference §4.7); only for a device whose update was handed out."""
        open_tasks = [t for t in self.tasks[sender.id] if t.facts.status in (NOTIFIED, IN_PROGRESS)]
        task = next((t for t in open_tasks if t.id == message.stream_id), None)
        if task is None:
            self.log.drop(sender.id, "download_without_update", str(message.stream_id))
            return
        reply = read_block(task.batch.package_id, message)
        if reply is None:
            self.log.drop(sender.id, "download_out_of_range", f"{message.file_id} {message.offset}")
            return
        topic = topics.file_download_reply(message.product_key, message.device_name)
        self.replies.append((topic, reply))

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        if self.changes:
            self._late_versions()
            self._store_versions()
        self.moves.flush()
        self._request_matches([(c.id, None, c.product_id) for c in self.arrivals.activated])
        self.log.write()

    def _late_versions(self) -> None:
        """Ended tasks: late success and roll-back (rules.md §2, §7). Only a changed version can be either."""
        for task in self.moves.lock_ended({device for device, _ in self.changes}):
            if task.device_id is not None:
                for change in self.changes.get((task.device_id, task.module_id), ()):
                    self.moves.apply(task, _reported(task, *change))

    def _store_versions(self) -> None:
        by_key = sorted(self.changes.items())
        sql.update_versions([(*key, *changes[-1]) for key, changes in by_key if changes[0].previous], self.now)
        sql.insert_versions([(*key, *changes[-1]) for key, changes in by_key if not changes[0].previous], self.now)
        by_id = self.arrivals.by_id
        told = [
            (by_id[device].public_id, module, change.version, change.previous)
            for (device, module), changes in by_key
            for change in changes
        ]
        outbox.append(events=[events.versions_changed(told)], now=self.now)
        self._request_matches([(device, module, by_id[device].product_id) for (device, module), _ in by_key])

    def _request_matches(self, wanted: list[tuple[int, int | None, int]]) -> None:
        """Queue devices for their products' running dynamic batches; module None: all that such batches update."""
        if not wanted:
            return
        lanes = task_sql.dynamic_lanes({product for _, _, product in wanted})
        pairs = [
            (device, lane_module)
            for device, module, product in wanted
            for lane_product, lane_module in lanes
            if lane_product == product and module in (None, lane_module)
        ]
        task_sql.request_matches(pairs, is_new_version=True, now=self.now)


def _reported(task: LockedTask, version: str, previous: str) -> VersionReported:
    """A version report as one task sees it."""
    is_rollback = previous == task.batch.policy.target_version and is_older(version, previous)
    return VersionReported(version, is_change=version != previous, is_rollback=is_rollback)
