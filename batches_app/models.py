"""Why the product exists: batches, the tasks in them, their history and their counters.

This file is long because it is one thing: the tables and the rules that the database itself keeps. Fields,
constraints and indexes only. Times are UTC. Statuses and reasons are the integers of `domain.states`; nobody writes
`Task.status` but the statements in `sql`, with what `domain.states.decide` decided.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from batches_app.domain.states import BatchStatus, TaskStatus
from devices_app.models import Device, DeviceGroup, Module, Product
from packages_app.models import UpdatePackage

UNFINISHED = Q(status__lt=TaskStatus.SUCCEEDED)


class DeviceList(models.Model):
    """The devices that a SPECIFIC batch names: ticked, typed or uploaded as CSV/TXT, up to 1,000,000 (rules.md §4)."""

    public_id = models.CharField(max_length=26, unique=True)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    file_name = models.CharField(max_length=255, blank=True, default="")
    device_count = models.IntegerField(default=0)
    bad_line_count = models.IntegerField(default=0)
    bad_lines = models.TextField(blank=True, default="")
    """CSV `line,name,reason` of the names that were left out, to be downloaded."""
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.public_id


class DeviceListEntry(models.Model):
    """A device on a list."""

    device_list = models.ForeignKey(DeviceList, on_delete=models.CASCADE, related_name="entries", db_index=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, db_index=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device_list", "device"), name="device_once_on_list"),)

    def __str__(self) -> str:
        return f"{self.device_list_id}:{self.device_id}"


class Batch(models.Model):
    """One launch of a package at a set of devices (vendor reference §2; rules.md §3, §4)."""

    class Kind(models.IntegerChoices):
        VERIFY = 0, _("Verify update package")
        UPDATE = 1, _("Batch update")

    class Selection(models.IntegerChoices):
        STATIC = 0, _("Static")
        DYNAMIC = 1, _("Dynamic")

    class Target(models.IntegerChoices):
        ALL = 0, _("All devices")
        SPECIFIC = 1, _("Selected devices")
        GRAY = 2, _("Gray update")
        GROUP = 3, _("Group")

    class BusyPolicy(models.IntegerChoices):
        """What happens to a matching device whose lane an unfinished update holds (design §9.1)."""

        FAIL = 0, _("Fails at once (conflict)")
        OVERWRITE = 1, _("Overwrite them")
        LEAVE_OUT = 2, _("Leave them out")

    class Protocol(models.TextChoices):
        HTTPS = "HTTPS", "HTTPS"
        MQTT = "MQTT", "MQTT"

    class RateKind(models.IntegerChoices):
        CONSTANT = 0, _("Constant rate")
        VARIABLE = 1, _("Variable rate")

    class LaunchState(models.IntegerChoices):
        WAITING = 0, _("Waiting")
        WRITING = 1, _("Writing")
        DONE = 2, _("Done")
        STOPPED = 3, _("Stopped")

    public_id = models.CharField(max_length=26, unique=True)
    package = models.ForeignKey(UpdatePackage, on_delete=models.PROTECT, related_name="batches", db_index=False)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+", db_index=False)
    module = models.ForeignKey(Module, on_delete=models.PROTECT, related_name="+", db_index=False)
    title = models.CharField(max_length=100, blank=True, default="")
    kind = models.SmallIntegerField(choices=Kind)
    status = models.SmallIntegerField(default=BatchStatus.IN_PROGRESS)
    is_open = models.BooleanField(default=True)
    """False once nothing can happen to its tasks any more by itself.

    Ended, launched, canceled through, none unfinished.
    """
    paused_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=40, blank=True, default="")

    # scope
    selection = models.SmallIntegerField(choices=Selection)
    target = models.SmallIntegerField(choices=Target, default=Target.ALL)
    dynamic_mode = models.SmallIntegerField(default=1)
    """1: current and later matches; 2: only devices that report a new version afterwards."""
    source_versions = models.JSONField(default=list, blank=True)
    """Sorted list of version strings; empty: any."""
    gray_percent = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    gray_ceiling = models.BigIntegerField(null=True, blank=True)
    """GRAY: the largest device hash that is in; fixed when the launch starts (rules.md §4)."""
    group = models.ForeignKey(DeviceGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    device_list = models.ForeignKey(DeviceList, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    # policy
    target_version = models.CharField(max_length=64)
    schedule_at = models.DateTimeField(null=True, blank=True)
    finish_at = models.DateTimeField(null=True, blank=True)
    rate_kind = models.SmallIntegerField(choices=RateKind, default=RateKind.CONSTANT)
    rate_per_minute = models.IntegerField(null=True, blank=True)
    """Constant: 1 … 100,000, null for no limit. Variable: the ceiling."""
    rate_base_per_minute = models.IntegerField(null=True, blank=True)
    rate_factor = models.DecimalField(max_digits=3, decimal_places=2, null=True, blank=True)
    rate_notified_step = models.IntegerField(null=True, blank=True)
    rate_succeeded_step = models.IntegerField(null=True, blank=True)
    retry_interval_minutes = models.SmallIntegerField(null=True, blank=True)
    retry_count = models.SmallIntegerField(null=True, blank=True)
    timeout_minutes = models.SmallIntegerField(null=True, blank=True)
    notify_timeout_minutes = models.IntegerField(null=True, blank=True)
    busy_policy = models.SmallIntegerField(choices=BusyPolicy, default=BusyPolicy.FAIL)
    is_multi_module = models.BooleanField(default=False)
    needs_push = models.BooleanField(default=True)
    needs_confirm = models.BooleanField(default=False)
    download_protocol = models.CharField(max_length=5, choices=Protocol, default=Protocol.HTTPS)
    next_slot_at = models.DateTimeField(null=True, blank=True)
    """Pace: when the next push may leave (`domain.pacing`)."""

    # launch in slices, resumable
    launch_state = models.SmallIntegerField(choices=LaunchState, default=LaunchState.WAITING)
    launch_cursor = models.BigIntegerField(default=0)
    """The highest device id that was looked at."""
    launch_through = models.BigIntegerField(default=0)
    """The highest device id at the moment of the launch: later devices are not part of a static batch."""
    launch_total_count = models.IntegerField(default=0)
    launch_written_count = models.IntegerField(default=0)

    # cancel in slices, resumable: written here first, obeyed everywhere (rules.md §3)
    cancel_mask = models.SmallIntegerField(default=0)
    """Bit 1 << status for every task status that is being canceled; 0 when no cancel runs."""
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.SmallIntegerField(default=0)
    cancel_cursor = models.BigIntegerField(default=0)
    cancel_total_count = models.IntegerField(default=0)
    cancel_done_count = models.IntegerField(default=0)
    canceled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "batches"
        constraints = (
            models.CheckConstraint(condition=Q(status__gte=0, status__lte=3), name="batch_status_known"),
            models.CheckConstraint(condition=Q(kind__in=(0, 1)), name="batch_kind_known"),
            models.CheckConstraint(condition=Q(selection__in=(0, 1)), name="batch_selection_known"),
            models.CheckConstraint(condition=Q(target__gte=0, target__lte=3), name="batch_target_known"),
            models.CheckConstraint(condition=Q(busy_policy__gte=0, busy_policy__lte=2), name="batch_busy_policy_known"),
            models.CheckConstraint(condition=Q(dynamic_mode__in=(1, 2)), name="batch_dynamic_mode_known"),
            models.CheckConstraint(
                condition=Q(rate_per_minute__isnull=True) | Q(rate_per_minute__gte=1, rate_per_minute__lte=100_000),
                name="batch_rate_range",
            ),
            models.CheckConstraint(
                condition=Q(rate_kind=0)
                | Q(
                    rate_per_minute__isnull=False, rate_base_per_minute__gte=1, rate_factor__gte=1.1, rate_factor__lte=5
                ),
                name="batch_variable_rate_complete",
            ),
            models.CheckConstraint(
                condition=Q(timeout_minutes__isnull=True) | Q(timeout_minutes__gte=1, timeout_minutes__lte=1440),
                name="batch_timeout_range",
            ),
            models.CheckConstraint(
                condition=Q(retry_interval_minutes__isnull=True, retry_count__isnull=True)
                | Q(retry_interval_minutes__in=(0, 10, 30, 60, 1440), retry_count__in=(1, 2, 5)),
                name="batch_retry_complete",
            ),
            models.CheckConstraint(
                condition=Q(target=2) ^ Q(gray_percent__isnull=True), name="batch_gray_percent_with_gray_only"
            ),
            models.CheckConstraint(
                condition=Q(cancel_mask__gte=0, cancel_mask__lte=15), name="batch_cancel_mask_range"
            ),
            models.UniqueConstraint(
                fields=("package",), condition=Q(selection=1, status=1), name="one_running_dynamic_batch_per_package"
            ),
        )
        indexes = (
            models.Index(fields=("package", "id"), name="batch_by_package"),
            models.Index(fields=("id",), name="batch_open", condition=Q(is_open=True)),
            models.Index(
                fields=("product", "module"), name="batch_dynamic_running", condition=Q(selection=1, status=1)
            ),
        )

    def __str__(self) -> str:
        return self.title or self.public_id


class BatchTag(models.Model):
    """A key and value that notifications carry in `extData` (vendor reference §2.5)."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="tags", db_index=False)
    position = models.SmallIntegerField()
    key = models.CharField(max_length=30)
    value = models.CharField(max_length=1024)

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(fields=("batch", "key"), name="tag_key_once_in_batch"),
            models.CheckConstraint(condition=Q(position__gte=1, position__lte=10), name="tag_position_range"),
        )

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class Task(models.Model):
    """One device in one batch. The facts are those of `domain.states.TaskFacts`, under the same names.

    Each index costs every change of a status, and `device_once_per_match_in_batch` finds a device's tasks as well.
    """

    public_id = models.CharField(max_length=26)
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="tasks", db_index=False)
    device = models.ForeignKey(Device, on_delete=models.SET_NULL, null=True, related_name="tasks", db_index=False)
    device_name = models.CharField(max_length=32)
    """Stays when the device is deleted."""
    module = models.ForeignKey(Module, on_delete=models.PROTECT, related_name="+", db_index=False)
    match_no = models.SmallIntegerField(default=1, db_default=1)
    is_multi_module = models.BooleanField(default=False, db_default=False)
    blocker = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    """CONFLICT: the unfinished task that held the lane."""

    status = models.SmallIntegerField()
    is_offline = models.BooleanField(default=False, db_default=False)
    timeout_minutes = models.SmallIntegerField(null=True, blank=True)
    source_version = models.CharField(max_length=64, blank=True, default="", db_default="")
    push_no = models.IntegerField(default=0, db_default=0)
    attempt = models.SmallIntegerField(default=0, db_default=0)
    is_retry_pending = models.BooleanField(default=False, db_default=False)
    not_before = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    notified_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    progress = models.SmallIntegerField(null=True, blank=True)
    progress_text = models.CharField(max_length=128, blank=True, default="", db_default="")
    progress_at = models.DateTimeField(null=True, blank=True)
    first_progress_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    notify_seconds_left = models.IntegerField(null=True, blank=True)
    reason = models.SmallIntegerField(default=0, db_default=0)
    reason_text = models.CharField(max_length=128, blank=True, default="", db_default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    late_success_at = models.DateTimeField(null=True, blank=True)
    rolled_back_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("public_id",), name="task_public_id_unique"),
            models.CheckConstraint(condition=Q(status__gte=0, status__lte=6), name="task_status_known"),
            models.CheckConstraint(
                condition=Q(progress__isnull=True) | Q(progress__gte=0, progress__lte=100), name="task_progress_range"
            ),
            models.CheckConstraint(condition=Q(push_no__gte=0), name="task_push_no_range"),
            models.CheckConstraint(condition=Q(match_no__gte=1, match_no__lte=10), name="task_match_no_range"),
            models.CheckConstraint(
                condition=UNFINISHED | Q(due_at__isnull=True, lease_until__isnull=True, deadline_at__isnull=True),
                name="ended_task_waits_for_nothing",
            ),
            models.CheckConstraint(condition=~Q(status=5) | ~Q(reason=0), name="failed_task_has_a_reason"),
            models.UniqueConstraint(fields=("device", "batch", "match_no"), name="device_once_per_match_in_batch"),
            models.UniqueConstraint(
                fields=("device", "module"), condition=UNFINISHED, name="one_unfinished_task_per_device_and_module"
            ),
            models.UniqueConstraint(
                fields=("device",),
                condition=UNFINISHED & Q(is_multi_module=False),
                name="one_unfinished_task_per_device",
            ),
        )
        indexes = (
            models.Index(fields=("batch", "status", "id"), name="task_by_batch_and_status"),
            models.Index(fields=("batch", "due_at", "id"), name="task_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=("deadline_at",), name="task_timed", condition=Q(deadline_at__isnull=False)),
        )

    def __str__(self) -> str:
        return self.public_id


class TaskEvent(models.Model):
    """A line of a task's history (rules.md §7). A cancel of many writes none: `selectors.history` adds it."""

    task = models.ForeignKey(
        Task, on_delete=models.CASCADE, related_name="history", db_index=False, db_constraint=False
    )
    """Not checked by the database: lines are written in the transaction that holds the task's lock (decisions/0011)."""
    at = models.DateTimeField()
    kind = models.SmallIntegerField()
    status = models.SmallIntegerField()
    """The task's status after this event."""
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("task", "id"), name="history_of_task"),)

    def __str__(self) -> str:
        return f"{self.task_id}: {self.kind}"


class StatusCounts(models.Model):
    """How many tasks stand where, moved by deltas in the transaction that moves the tasks (rules.md §6)."""

    confirm = models.IntegerField(default=0, db_default=0)
    queued = models.IntegerField(default=0, db_default=0)
    queued_offline = models.IntegerField(default=0, db_default=0)
    """Of `queued`, those whose device is offline."""
    notified = models.IntegerField(default=0, db_default=0)
    in_progress = models.IntegerField(default=0, db_default=0)
    succeeded = models.IntegerField(default=0, db_default=0)
    failed = models.IntegerField(default=0, db_default=0)
    canceled = models.IntegerField(default=0, db_default=0)
    late_success = models.IntegerField(default=0, db_default=0)
    rolled_back = models.IntegerField(default=0, db_default=0)
    ever_notified = models.IntegerField(default=0, db_default=0)
    """Tasks that were pushed or pulled at least once: what a variable rate grows by."""
    revision = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        abstract = True


class BatchCounts(StatusCounts):
    """The counters of one batch."""

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, primary_key=True, related_name="counts")

    class Meta:
        verbose_name_plural = "batch counts"
        constraints = (
            models.CheckConstraint(
                condition=Q(
                    confirm__gte=0,
                    queued__gte=F("queued_offline"),
                    queued_offline__gte=0,
                    notified__gte=0,
                    in_progress__gte=0,
                    succeeded__gte=0,
                    failed__gte=0,
                    canceled__gte=0,
                ),
                name="batch_counts_not_negative",
            ),
        )

    def __str__(self) -> str:
        return f"{self.batch_id}@{self.revision}"


class PackageCounts(StatusCounts):
    """The counters of all batches of one package."""

    package = models.OneToOneField(UpdatePackage, on_delete=models.CASCADE, primary_key=True, related_name="counts")

    class Meta:
        verbose_name_plural = "package counts"

    def __str__(self) -> str:
        return f"{self.package_id}@{self.revision}"


class FailureCount(models.Model):
    """Failed tasks of a batch by reason and source version (design §9.5)."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="failure_counts", db_index=False)
    reason = models.SmallIntegerField()
    source_version = models.CharField(max_length=64, blank=True, default="")
    count = models.IntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("batch", "reason", "source_version"), name="failure_counted_once"),
            models.CheckConstraint(condition=Q(count__gte=0), name="failure_count_not_negative"),
        )

    def __str__(self) -> str:
        return f"{self.batch_id}: {self.reason} {self.source_version} {self.count}"


class MatchRequest(models.Model):
    """A device to be looked at by the dynamic batches, queued by ingest and carried out outside it (architecture)."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+", db_index=False)
    module = models.ForeignKey(Module, on_delete=models.CASCADE, related_name="+", db_index=False)
    is_new_version = models.BooleanField(default=True)
    """False: it only became free or active, which is no match for dynamic mode 2."""
    requested_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("device", "module"), name="one_match_request_per_device_and_module"),
        )

    def __str__(self) -> str:
        return f"{self.device_id}:{self.module_id}"
