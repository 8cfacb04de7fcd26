"""Batches and device updates as the API writes and reads them.

This file is long because it is one thing: the shapes of one resource tree, batches and their device updates.

Shapes only; commands decide what is accepted.
"""

from typing import Any, Final

from rest_framework import serializers

from batches_app.commands.edit import KEEP, BatchEdit
from batches_app.commands.launch import LaunchRequest
from batches_app.domain.pacing import Rate
from batches_app.domain.states import BatchStatus, EventKind, Reason, TaskStatus
from batches_app.models import Batch, BatchTag, Task, TaskEvent
from batches_app.selectors.batches import BatchFacts
from batches_app.selectors.task_rows import task_label, task_note
from ota_console.core import clock
from ota_console.web.rest import NameField, StrictSerializer, UtcDateTimeField

LONGEST_TEXT: Final = 5000
"""Of texts as they arrive; the commands have the exact limits and say them."""
MOST_ITEMS: Final = 1000
"""Of lists as they arrive; the commands have the exact limits."""
RATE_FIELDS: Final = {
    "rate_per_minute": "per_minute",
    "rate_base_per_minute": "base_per_minute",
    "rate_factor": "factor",
    "rate_notified_step": "notified_step",
    "rate_succeeded_step": "succeeded_step",
}
CANCELABLE: Final = ("CONFIRM", "QUEUED", "NOTIFIED", "IN_PROGRESS")


class TagField(serializers.ModelSerializer[BatchTag]):
    """A key and a value that devices are told."""

    class Meta:
        model = BatchTag
        fields: tuple[str, ...] = ("key", "value")


class CountsOut(serializers.Serializer[Any]):
    """Device updates by status; they add up to `total_count`."""

    CONFIRM = serializers.IntegerField(help_text="Pending Confirmation")
    QUEUED = serializers.IntegerField(help_text="To Be Pushed, in all its forms")
    NOTIFIED = serializers.IntegerField(help_text="Pushed")
    IN_PROGRESS = serializers.IntegerField(help_text="Upgrading")
    SUCCEEDED = serializers.IntegerField(help_text="Updated")
    FAILED = serializers.IntegerField(help_text="Update failed")
    CANCELED = serializers.IntegerField(help_text="Canceled")


class ToBePushedOut(serializers.Serializer[Any]):
    """The forms of To Be Pushed; they add up to `counts.QUEUED`."""

    scheduled = serializers.IntegerField(source="QUEUED_SCHEDULED", help_text="To Be Pushed (Scheduled: …)")
    device_offline = serializers.IntegerField(source="QUEUED_OFFLINE", help_text="To Be Pushed (Device Offline)")
    plain = serializers.IntegerField(source="QUEUED_PLAIN", help_text="To Be Pushed")


class LaunchOut(serializers.Serializer[Batch]):
    """How far the writing of the tasks is."""

    state = NameField(Batch.LaunchState, source="launch_state")
    total_count = serializers.IntegerField(source="launch_total_count")
    written_count = serializers.IntegerField(source="launch_written_count")


class CancelOut(serializers.Serializer[Batch]):
    """How far the last cancel of many is."""

    requested_at = UtcDateTimeField(
        allow_null=True, source="cancel_requested_at", help_text="Null: nothing was canceled for many."
    )
    total_count = serializers.IntegerField(source="cancel_total_count")
    done_count = serializers.IntegerField(source="cancel_done_count")


class BatchOut(serializers.Serializer[BatchFacts]):
    """A batch with its counts, as the console shows it."""

    id = serializers.CharField(source="batch.public_id")
    package = serializers.CharField(source="batch.package.public_id", help_text="Id of the update package.")
    product_key = serializers.CharField(source="batch.product.product_key")
    module = serializers.CharField(source="batch.module.name")
    title = serializers.CharField(source="batch.title")
    kind = NameField(Batch.Kind, source="batch.kind")
    status = NameField(BatchStatus, source="batch.status", help_text="IN_PROGRESS is Upgrading on screen.")
    paused_at = UtcDateTimeField(allow_null=True, source="batch.paused_at", help_text="Null: not paused.")
    end_reason = serializers.CharField(source="batch.end_reason")
    selection = NameField(Batch.Selection, source="batch.selection")
    target = NameField(Batch.Target, source="batch.target")
    target_version = serializers.CharField(source="batch.target_version")
    source_versions = serializers.ListField(child=serializers.CharField(), source="batch.source_versions")
    gray_percent = serializers.DecimalField(
        allow_null=True, source="batch.gray_percent", max_digits=6, decimal_places=3
    )
    group = serializers.CharField(allow_null=True, source="batch.group.public_id", default=None)
    device_list = serializers.CharField(allow_null=True, source="batch.device_list.public_id", default=None)
    dynamic_mode = serializers.IntegerField(source="batch.dynamic_mode")
    schedule_at = UtcDateTimeField(allow_null=True, source="batch.schedule_at")
    finish_at = UtcDateTimeField(allow_null=True, source="batch.finish_at")
    rate_kind = NameField(Batch.RateKind, source="batch.rate_kind")
    rate_per_minute = serializers.IntegerField(
        allow_null=True, source="batch.rate_per_minute", help_text="Null: no limit."
    )
    rate_base_per_minute = serializers.IntegerField(allow_null=True, source="batch.rate_base_per_minute")
    rate_factor = serializers.FloatField(allow_null=True, source="batch.rate_factor")
    rate_notified_step = serializers.IntegerField(allow_null=True, source="batch.rate_notified_step")
    rate_succeeded_step = serializers.IntegerField(allow_null=True, source="batch.rate_succeeded_step")
    rate_now_per_minute = serializers.IntegerField(
        allow_null=True, source="rate_now", help_text="At this moment; null: no limit."
    )
    retry_interval_minutes = serializers.IntegerField(allow_null=True, source="batch.retry_interval_minutes")
    retry_count = serializers.IntegerField(allow_null=True, source="batch.retry_count")
    timeout_minutes = serializers.IntegerField(allow_null=True, source="batch.timeout_minutes")
    notify_timeout_minutes = serializers.IntegerField(allow_null=True, source="batch.notify_timeout_minutes")
    busy_policy = NameField(Batch.BusyPolicy, source="batch.busy_policy")
    is_multi_module = serializers.BooleanField(source="batch.is_multi_module")
    needs_push = serializers.BooleanField(source="batch.needs_push")
    needs_confirm = serializers.BooleanField(source="batch.needs_confirm")
    download_protocol = serializers.CharField(source="batch.download_protocol")
    tags = TagField(many=True, source="batch.tags.all")
    total_count = serializers.IntegerField(source="counts.all")
    counts = CountsOut()
    to_be_pushed = ToBePushedOut(source="counts")
    late_success_count = serializers.IntegerField(
        source="batch.counts.late_success",
        default=0,
        help_text="Failed or canceled ones whose device reported the version later.",
    )
    rolled_back_count = serializers.IntegerField(
        source="batch.counts.rolled_back",
        default=0,
        help_text="Updated ones whose device reported an older version since.",
    )
    revision = serializers.IntegerField(help_text="Grows with each change of the counts.")
    launch = LaunchOut(source="batch")
    cancel = CancelOut(source="batch")
    created_by = serializers.CharField(allow_null=True, source="batch.created_by.username", default=None)
    created_at = UtcDateTimeField(source="batch.created_at")
    updated_at = UtcDateTimeField(source="batch.updated_at")
    started_at = UtcDateTimeField(allow_null=True, source="batch.started_at")
    ended_at = UtcDateTimeField(allow_null=True, source="batch.ended_at")


class ShortField(serializers.CharField):
    """A text of bounded length that may be left out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "max_length": LONGEST_TEXT, **kwargs})


class NumberField(serializers.IntegerField):
    """A number that may be left out, or null for none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "allow_null": True, **kwargs})


def _texts(help_text: str = "") -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_TEXT), required=False, max_length=MOST_ITEMS, help_text=help_text
    )


def _rate(values: dict[str, Any], before: Rate) -> Rate:
    given = {field: values.pop(name) for name, field in RATE_FIELDS.items() if name in values}
    return before._replace(**given)


class BatchIn(StrictSerializer):
    """A batch to be launched. What does not fit together is refused, with a sentence for each field."""

    package = serializers.CharField(max_length=LONGEST_TEXT, help_text="Id of the update package.")
    kind = NameField(Batch.Kind, required=False, help_text="VERIFY: 1 to 10 test devices by name. Default UPDATE.")
    title = ShortField(allow_blank=True, help_text="Up to 100 characters.")
    selection = NameField(
        Batch.Selection, required=False, help_text="STATIC (default): who matches now. DYNAMIC: and who matches later."
    )
    target = NameField(Batch.Target, required=False, help_text="Static batches; default ALL.")
    device_names = _texts("SPECIFIC and VERIFY: up to 200 (10) names; more through `device_list`.")
    device_list = ShortField(allow_null=True, help_text="SPECIFIC: id of a device list, instead of names.")
    group = ShortField(
        allow_null=True,
        help_text="GROUP: id of a static group. Dynamic batches: of a dynamic one, instead of versions.",
    )
    source_versions = _texts("ALL, GRAY and dynamic batches: only devices on one of up to 10 versions.")
    gray_percent = serializers.DecimalField(
        required=False, allow_null=True, max_digits=20, decimal_places=None, help_text="GRAY: above 0 and up to 100."
    )
    dynamic_mode = serializers.ChoiceField(
        choices=(1, 2), required=False, help_text="1 (default): who matches now and later. 2: later only."
    )
    schedule_at = UtcDateTimeField(
        required=False, allow_null=True, help_text="Start, 5 minutes to 7 days from now; null: now."
    )
    finish_at = UtcDateTimeField(
        required=False, allow_null=True, help_text="End, 1 hour to 30 days after the start; null: none."
    )
    rate_kind = NameField(Batch.RateKind, required=False, help_text="Default CONSTANT; cannot be changed later.")
    rate_per_minute = NumberField(
        help_text="Constant rate, or ceiling of a variable one: 1 to 100,000; null: no limit."
    )
    rate_base_per_minute = NumberField(help_text="Variable rate: what it starts at.")
    rate_factor = serializers.FloatField(required=False, allow_null=True, help_text="Variable rate: 1.1 to 5.")
    rate_notified_step = NumberField(help_text="Variable rate: it grows each time so many were notified.")
    rate_succeeded_step = NumberField(help_text="Variable rate: it grows each time so many were updated.")
    retry_interval_minutes = NumberField(help_text="0, 10, 30, 60 or 1440; needs `retry_count` and source versions.")
    retry_count = NumberField(help_text="1, 2 or 5.")
    timeout_minutes = NumberField(help_text="1 to 1440 from the first progress report; null (default): none.")
    notify_timeout_minutes = NumberField(help_text="Online minutes without an answer to a push; null (default): none.")
    busy_policy = NameField(
        Batch.BusyPolicy,
        required=False,
        help_text="Devices with an unfinished update: FAIL at once (default), OVERWRITE it, or LEAVE_OUT.",
    )
    is_multi_module = serializers.BooleanField(required=False)
    needs_push = serializers.BooleanField(required=False, help_text="False: wait for the device to ask. Default true.")
    needs_confirm = serializers.BooleanField(required=False, help_text="App confirm upgrade. Default false.")
    download_protocol = serializers.ChoiceField(choices=Batch.Protocol.values, required=False)
    tags = serializers.ListField(
        child=TagField(), required=False, max_length=MOST_ITEMS, help_text="Up to 10; devices are told them."
    )
    fingerprint = ShortField(
        allow_blank=True,
        help_text="Of a review: the launch is refused (409) where others match now, or more of them are busy.",
    )

    def launch_request(self) -> LaunchRequest:
        """What the command takes. Only after `is_valid()`."""
        values = dict(self.validated_data)
        for name in ("device_names", "source_versions"):
            values[name] = tuple(values.get(name, ()))
        values["tags"] = tuple((tag["key"], tag["value"]) for tag in values.get("tags", ()))
        if "download_protocol" in values:
            values["download_protocol"] = Batch.Protocol(values["download_protocol"])
        rate = _rate(values, Rate(None))
        return LaunchRequest(**values, rate=rate)


class ScopeOut(serializers.Serializer[Any]):
    """How many devices would be in, and why the others would not; each device counts once."""

    device_count = serializers.IntegerField(help_text="In the chosen set.")
    matched_count = serializers.IntegerField(help_text="Would get a task, also one that fails at once.")
    updated_count = serializers.IntegerField(
        help_text="Would be updated: the matched ones without those that fail at once; a gray update at most so many."
    )
    online_count = serializers.IntegerField(help_text="Of those that would be updated.")
    disabled_count = serializers.IntegerField()
    on_target_count = serializers.IntegerField(help_text="Have the destination version already.")
    never_reported_count = serializers.IntegerField()
    wrong_version_count = serializers.IntegerField()
    not_chosen_count = serializers.IntegerField(help_text="Gray update: matching devices beyond the share.")
    conflict_count = serializers.IntegerField(help_text="Their task would fail at once: unfinished update.")
    overwritten_count = serializers.IntegerField(help_text="Their older update would be canceled.")
    left_out_count = serializers.IntegerField(help_text="Busy devices that would get no task.")
    fingerprint = serializers.CharField(help_text="To be sent with the launch.")


class ReviewOut(serializers.Serializer[Any]):
    """The dry run of a launch."""

    errors = serializers.DictField(  # type: ignore[assignment]  # a field of the answer, not the base's property
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Sentences by field; empty: it may launch.",
    )
    counts = ScopeOut(allow_null=True, help_text="Null while the errors leave open who is meant.")


class BatchEditIn(StrictSerializer):
    """What of a running batch can change; a missing field stays."""

    rate_per_minute = NumberField()
    rate_base_per_minute = NumberField()
    rate_factor = serializers.FloatField(required=False, allow_null=True)
    rate_notified_step = NumberField()
    rate_succeeded_step = NumberField()
    tags = serializers.ListField(
        child=TagField(), required=False, max_length=MOST_ITEMS, help_text="Replaced as a whole."
    )
    source_versions = _texts("Dynamic batches by version: replaced as a whole; holds for later matches.")
    timeout_minutes = NumberField(help_text="Dynamic batches: holds for tasks made afterwards.")
    expected_updated_at = UtcDateTimeField(
        required=False, help_text="`updated_at` as you saw it: refused (409) if somebody changed the batch since."
    )

    def edit(self, before: Rate) -> BatchEdit:
        """What the command takes; rate values that are missing stay as they were `before`."""
        values = dict(self.validated_data)
        has_rate = any(name in values for name in RATE_FIELDS)
        tags = values.get("tags")
        return BatchEdit(
            rate=_rate(values, before) if has_rate else KEEP,
            tags=KEEP if tags is None else tuple((tag["key"], tag["value"]) for tag in tags),
            source_versions=values.get("source_versions", KEEP),
            timeout_minutes=values.get("timeout_minutes", KEEP),
        )


class CancelIn(StrictSerializer):
    """How to cancel a batch."""

    include_ongoing = serializers.BooleanField(
        required=False, default=False, help_text="Dynamic batches: also cancel all ongoing tasks, not only the policy."
    )


class CancelStartedOut(serializers.Serializer[Any]):
    """The cancel stands and is carried out in slices."""

    id = serializers.CharField(source="public_id")
    task_count = serializers.IntegerField(help_text="Device updates that are being canceled.")


class CancelTasksIn(StrictSerializer):
    """Which device updates of a batch to cancel: exactly one of the three."""

    states = serializers.ListField(
        child=serializers.ChoiceField(choices=CANCELABLE), required=False, max_length=MOST_ITEMS
    )
    device_names = _texts("Up to 200.")
    tasks = _texts("Ids, up to 200.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Give exactly one of states, device_names and tasks.")
        return attrs


class TaskIdsIn(StrictSerializer):
    """Device updates by id."""

    tasks = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_TEXT), max_length=MOST_ITEMS, help_text="1 to 200 ids."
    )


class TaskResultOut(serializers.Serializer[Any]):
    """What became of one device update."""

    task = serializers.CharField(help_text="Empty where there is none.")
    device_name = serializers.CharField()
    is_done = serializers.BooleanField()
    code = serializers.CharField(help_text="Why not, for programs; empty where it is done.")
    message = serializers.CharField(help_text="The same as a sentence.")


class TaskResultsOut(serializers.Serializer[Any]):
    """One result for each, in the order asked."""

    results = TaskResultOut(many=True)


class CanceledOut(TaskResultsOut):
    """By state: how many are being canceled in slices. By name or id: how many were, and a result for each."""

    task_count = serializers.IntegerField()


class HistoryOut(serializers.ModelSerializer[TaskEvent]):
    """A line of a device update's history."""

    at = UtcDateTimeField(read_only=True)
    kind = NameField(EventKind, read_only=True)
    status = NameField(TaskStatus, read_only=True, help_text="After this.")

    class Meta:
        model = TaskEvent
        fields: tuple[str, ...] = ("at", "kind", "status", "detail")
        read_only_fields: tuple[str, ...] = fields


class TaskOut(serializers.ModelSerializer[Task]):
    """A device update, as a row of `selectors.api_rows.tasks()`."""

    id = serializers.CharField(source="public_id", read_only=True)
    batch = serializers.CharField(source="batch.public_id", read_only=True)
    package = serializers.CharField(source="batch.package.public_id", read_only=True)
    product_key = serializers.CharField(source="batch.product.product_key", read_only=True)
    device = serializers.CharField(
        allow_null=True, source="device.public_id", default=None, read_only=True, help_text="Null: deleted."
    )
    module = serializers.CharField(source="module.name", read_only=True)
    target_version = serializers.CharField(source="batch.target_version", read_only=True)
    status = NameField(TaskStatus, read_only=True)
    label = serializers.SerializerMethodField(  # type: ignore[assignment]  # as `errors` above
        help_text="The status in the words of the console, with its form."
    )
    note = serializers.SerializerMethodField(help_text="Why it stands there, in a few words.")
    reason = NameField(Reason, read_only=True, help_text="Why it ended, or the last failure while a retry waits.")
    blocker = serializers.CharField(
        allow_null=True,
        source="blocker.public_id",
        default=None,
        read_only=True,
        help_text="CONFLICT: the task that was in the way.",
    )
    not_before = UtcDateTimeField(allow_null=True, read_only=True)
    notified_at = UtcDateTimeField(allow_null=True, read_only=True)
    confirmed_at = UtcDateTimeField(allow_null=True, read_only=True)
    progress_at = UtcDateTimeField(allow_null=True, read_only=True)
    first_progress_at = UtcDateTimeField(allow_null=True, read_only=True)
    deadline_at = UtcDateTimeField(allow_null=True, read_only=True)
    ended_at = UtcDateTimeField(allow_null=True, read_only=True)
    late_success_at = UtcDateTimeField(allow_null=True, read_only=True)
    rolled_back_at = UtcDateTimeField(allow_null=True, read_only=True)
    created_at = UtcDateTimeField(read_only=True)
    updated_at = UtcDateTimeField(read_only=True)

    class Meta:
        model = Task
        fields: tuple[str, ...] = (
            *("id", "batch", "package", "product_key", "device", "device_name", "module", "match_no"),
            *("source_version", "target_version", "status", "label", "note", "reason", "reason_text", "blocker"),
            *("progress", "progress_text", "push_no", "attempt", "is_retry_pending", "is_offline", "timeout_minutes"),
            *("not_before", "notified_at", "confirmed_at", "progress_at", "first_progress_at", "deadline_at"),
            *("ended_at", "late_success_at", "rolled_back_at", "created_at", "updated_at"),
        )
        read_only_fields: tuple[str, ...] = fields

    def get_label(self, task: Task) -> str:
        return " ".join(task_label(task, clock.now())).strip()

    def get_note(self, task: Task) -> str:
        return task_note(task, clock.now())


class TaskDetailOut(TaskOut):
    """A device update with its history."""

    history = HistoryOut(many=True, read_only=True, source="lines")

    class Meta(TaskOut.Meta):
        fields: tuple[str, ...] = (*TaskOut.Meta.fields, "history")
        read_only_fields: tuple[str, ...] = fields


class DeviceListIn(StrictSerializer):
    """A device list to be made: names, or a CSV or TXT file with one name a line."""

    product_key = serializers.CharField(max_length=LONGEST_TEXT)
    device_names = serializers.ListField(child=serializers.CharField(max_length=LONGEST_TEXT), required=False)
    file = serializers.FileField(required=False, allow_empty_file=True, help_text="UTF-8, up to 5 MB.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("device_names" in attrs) == ("file" in attrs):
            raise serializers.ValidationError("Give either device_names or a file.")
        return attrs


class DeviceListOut(serializers.Serializer[Any]):
    """A device list, ready for a batch with target SPECIFIC."""

    id = serializers.CharField(source="public_id")
    device_count = serializers.IntegerField()
    bad_line_count = serializers.IntegerField(help_text="Left out; `bad-lines/` says why.")
