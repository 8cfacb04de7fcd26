"""Facts in words.

The label of a device update, why it failed, why a command was refused, and one plain sentence that answers "why is this
device not updated?".

Pure. The labels are the seed's, word for word. Texts are English and marked for translation; they are translated, and
their placeholders filled, where they are shown.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from batches_app.domain.states import CONFIRM, IN_PROGRESS, NOTIFIED, QUEUED, SUCCEEDED, Reason, TaskFacts, TaskStatus
from batches_app.domain.texts import gettext_noop

ALL_DONE: Final = 100
"""Per cent; no proof of success (rules.md §2)."""


class Text(NamedTuple):
    """A sentence with `%(name)s` placeholders and what goes into them. `fill` is for callers that do not translate."""

    message: str
    values: Mapping[str, object] = {}

    def fill(self) -> str:
        """The English sentence."""
        return self.message % self.values if self.values else self.message


LABELS: Final[Mapping[TaskStatus, str]] = {
    TaskStatus.CONFIRM: gettext_noop("Pending Confirmation"),
    TaskStatus.QUEUED: gettext_noop("To Be Pushed"),
    TaskStatus.NOTIFIED: gettext_noop("Pushed"),
    TaskStatus.IN_PROGRESS: gettext_noop("Upgrading"),
    TaskStatus.SUCCEEDED: gettext_noop("Updated"),
    TaskStatus.FAILED: gettext_noop("Update failed"),
    TaskStatus.CANCELED: gettext_noop("Canceled"),
}
OFFLINE_LABEL: Final = gettext_noop("To Be Pushed (Device Offline)")
SCHEDULED_LABEL: Final = gettext_noop("To Be Pushed (Scheduled: %(time)s)")

REASONS: Final[Mapping[Reason, str]] = {
    Reason.UPDATE_FAILED: gettext_noop("The update failed"),
    Reason.DOWNLOAD_FAILED: gettext_noop("The download failed"),
    Reason.VERIFICATION_FAILED: gettext_noop("The verification failed"),
    Reason.FLASHING_FAILED: gettext_noop("The flashing failed"),
    Reason.NONE: "",
    Reason.TIMEOUT: gettext_noop("Timeout"),
    Reason.VERSION_MISMATCH: gettext_noop("Unexpected version reported"),
    Reason.CONFLICT: gettext_noop("Conflict"),
    Reason.NOT_ACKNOWLEDGED: gettext_noop("No answer to the notification"),
    Reason.SOURCE_VERSION_CHANGED: gettext_noop("Source version changed"),
    Reason.CANCELED_BY_OPERATOR: gettext_noop("Canceled by an operator"),
    Reason.BATCH_CANCELED: gettext_noop("Batch canceled"),
    Reason.OVERWRITTEN: gettext_noop("Overwritten by a newer batch"),
    Reason.SCHEDULE_ENDED: gettext_noop("Finish time reached"),
    Reason.DEVICE_DELETED: gettext_noop("Device deleted"),
}
"""Short texts for table cells and counters.

The device's own codes are shown before theirs: "−3 The verification failed".
"""

ENDINGS: Final[Mapping[str, str]] = {
    "finish_time": gettext_noop("finish time reached"),
    "nothing_matched": gettext_noop("no device matched any more"),
    "all_canceled": gettext_noop("every device update was canceled"),
}
"""Why a batch ended, beside the time; an ordinary end needs no words (rules.md §3)."""

REFUSALS: Final[Mapping[str, str]] = {
    "unknown_task": gettext_noop("This device update does not exist."),
    "no_task": gettext_noop("This device has no unfinished update with this package."),
    "unknown_device": gettext_noop("This device does not exist."),
    "already_ended": gettext_noop("This update has already ended; nothing was changed."),
    "not_ended": gettext_noop("This update has not ended yet."),
    "already_updated": gettext_noop("This device is already updated."),
    "never_confirmed": gettext_noop("This update was never confirmed, so it cannot be started again."),
    "not_waiting_for_confirmation": gettext_noop("This update does not wait for a confirmation."),
    "before_schedule": gettext_noop("The batch has not started yet. Confirm after its start time."),
    "after_finish": gettext_noop("The finish time of the batch has passed."),
    "not_yet": gettext_noop("This update may not be handed out now."),
    "being_canceled": gettext_noop("This update is being canceled."),
    "batch_canceled": gettext_noop("The batch is canceled. Launch a new batch to update this device."),
    "lane_held": gettext_noop("Another unfinished update holds this device. Wait for its end, or cancel it first."),
    "device_deleted": gettext_noop("The device was deleted."),
}
"""A sentence for each code with which a command about a task may be refused."""


def label(status: TaskStatus, *, is_offline: bool, schedule_at: datetime | None, now: datetime) -> Text:
    """One of the seven labels; To Be Pushed in one of its three forms, in the precedence of rules.md §2.

    `schedule_at` is the batch's. `%(time)s` is the start, to be written as YYYY/MM/DD hh:mm:ss in the reader's time
    zone.
    """
    if status == QUEUED and schedule_at is not None and schedule_at > now:
        return Text(SCHEDULED_LABEL, {"time": f"{schedule_at:%Y/%m/%d %H:%M:%S}"})
    if status == QUEUED and is_offline:
        return Text(OFFLINE_LABEL)
    return Text(LABELS[status])


def reason_text(reason: Reason) -> str:
    """The short text, with the device's own code before it where there is one."""
    code = f"\u2212{-reason} " if reason < 0 else ""
    return code + REASONS[reason]


class Situation(NamedTuple):
    """What, besides the task, explains where a device stands."""

    is_batch_running: bool = True
    is_enabled: bool = True
    current_version: str = ""
    blocker: str = ""
    """Title or id of the batch whose update was in the way."""


def why_not_updated(task: TaskFacts, around: Situation, now: datetime) -> Text:
    """One plain sentence: where the update stands and what it waits for. For an updated device: that it is."""
    if task.late_success_at is not None:
        return Text(gettext_noop("The update ended without success, but the device reported the new version later."))
    if task.status == SUCCEEDED:
        return _why_updated(task)
    if task.status == TaskStatus.FAILED:
        return _why_failed(task, around)
    if task.status == TaskStatus.CANCELED:
        return Text(_CANCELED.get(task.reason, _CANCELED[Reason.CANCELED_BY_OPERATOR]))
    if not around.is_enabled:
        return Text(gettext_noop("The device is disabled. Enable it, so that it can connect and be updated."))
    if task.is_retry_pending:
        return _why_retrying(task, now)
    return {CONFIRM: _why_unconfirmed, QUEUED: _why_queued, NOTIFIED: _why_pushed, IN_PROGRESS: _why_upgrading}[
        task.status
    ](task, around, now)


def _why_updated(task: TaskFacts) -> Text:
    if task.rolled_back_at is not None:
        return Text(gettext_noop("The device was updated, and has reported an older version since."))
    return Text(gettext_noop("The device is updated: it reported the new version."))


_FAILED: Final[Mapping[Reason, str]] = {
    Reason.TIMEOUT: gettext_noop(
        "The device did not report the new version within %(minutes)s minutes after its first progress report. "
        "Time-outs are not retried."
    ),
    Reason.VERSION_MISMATCH: gettext_noop(
        "The device reported a version that is neither its source version nor the new one, and no retry is left."
    ),
    Reason.CONFLICT: gettext_noop(
        "Another unfinished update held the device when this batch was launched (%(blocker)s)."
    ),
    Reason.NOT_ACKNOWLEDGED: gettext_noop(
        "The device was notified but reported no progress within the notification time-out."
    ),
    Reason.SOURCE_VERSION_CHANGED: gettext_noop(
        "Before the push, the device reported a version that this batch does not update (%(version)s)."
    ),
}
_CANCELED: Final[Mapping[Reason, str]] = {
    Reason.CANCELED_BY_OPERATOR: gettext_noop("An operator canceled this update."),
    Reason.BATCH_CANCELED: gettext_noop("The batch was canceled, and this update with it."),
    Reason.OVERWRITTEN: gettext_noop("A newer batch took over this device before it had started to upgrade."),
    Reason.SCHEDULE_ENDED: gettext_noop("The batch reached its finish time before this device had started to upgrade."),
    Reason.DEVICE_DELETED: gettext_noop("The device was deleted."),
}


def _why_failed(task: TaskFacts, around: Situation) -> Text:
    if task.reason in _FAILED:
        values = {
            "minutes": task.timeout_minutes or 0,
            "blocker": around.blocker or gettext_noop("it has ended since"),
            "version": around.current_version or gettext_noop("none"),
        }
        return Text(_FAILED[task.reason], values)
    if task.attempt:
        return Text(
            gettext_noop(
                "The device reported a failure (%(reason)s) on attempt %(number)s, the last one; "
                "no automatic retry is left."
            ),
            {"reason": reason_text(task.reason), "number": task.attempt + 1},
        )
    return Text(gettext_noop("The device reported a failure (%(reason)s)."), {"reason": reason_text(task.reason)})


def _why_retrying(task: TaskFacts, now: datetime) -> Text:
    values = {"reason": reason_text(task.reason), "attempt": task.attempt}
    if task.is_offline:
        return Text(gettext_noop("The update failed (%(reason)s) and is tried again when the device connects."), values)
    if task.not_before is not None and task.not_before > now:
        return Text(
            gettext_noop("The update failed (%(reason)s) and is tried again at %(time)s, retry %(attempt)s."),
            {**values, "time": f"{task.not_before:%Y/%m/%d %H:%M:%S}"},
        )
    if not task.policy.needs_push:
        return Text(
            gettext_noop("The update failed (%(reason)s); retry %(attempt)s waits for the device to ask for it."),
            values,
        )
    return Text(gettext_noop("The update failed (%(reason)s) and is being tried again, retry %(attempt)s."), values)


def _why_unconfirmed(_task: TaskFacts, _around: Situation, _now: datetime) -> Text:
    return Text(gettext_noop("The update waits for the user to confirm it in the mobile app."))


def _why_queued(task: TaskFacts, _around: Situation, now: datetime) -> Text:
    policy = task.policy
    if policy.schedule_at is not None and policy.schedule_at > now:
        return Text(
            gettext_noop("The update waits for its scheduled start at %(time)s."),
            {"time": f"{policy.schedule_at:%Y/%m/%d %H:%M:%S}"},
        )
    if task.is_offline:
        return Text(gettext_noop("The device is offline. It is pushed when it connects."))
    if policy.is_paused:
        return Text(gettext_noop("The batch is paused. Resume it to push this device."))
    if not policy.needs_push:
        return Text(gettext_noop("The batch does not push by itself; it waits for the device to ask for the update."))
    return Text(gettext_noop("The device is online and waits for its turn in the push rate."))


def _why_pushed(task: TaskFacts, _around: Situation, _now: datetime) -> Text:
    if task.is_offline:
        return Text(
            gettext_noop("The device was notified and went offline before it reported progress. It is pushed again.")
        )
    return Text(gettext_noop("The device was notified and has not reported any progress yet."))


def _why_upgrading(task: TaskFacts, _around: Situation, _now: datetime) -> Text:
    if task.progress == ALL_DONE:
        return Text(gettext_noop("The device reported 100 percent; its new version has not been reported yet."))
    return Text(gettext_noop("The device is upgrading, %(progress)s percent so far."), {"progress": task.progress or 0})
