"""The launch form and the verify form. They read what was typed into a `LaunchRequest`; every rule is the command's."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from batches_app.commands.launch import LaunchRequest
from batches_app.domain.pacing import Rate
from batches_app.domain.policy import RETRY_COUNTS
from batches_app.forms.tags import Tags, tags_of
from batches_app.models import Batch

NAMES: Final = re.compile(r"[\s,;]+")
LOCAL_TIME: Final = forms.DateTimeInput({"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S")
LOCAL_FORMATS: Final = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M")
DEFAULT_TIMEOUT_MINUTES: Final = 60
"""What the console proposes (rules.md §2)."""
RETRY_INTERVALS: Final = (
    ("", _("No retry")),
    ("0", _("Immediately")),
    ("10", _("10 minutes")),
    ("30", _("30 minutes")),
    ("60", _("1 hour")),
    ("1440", _("24 hours")),
)


def names_in(text: Iterable[str]) -> tuple[str, ...]:
    """Device names separated by white space, commas or semicolons; each once, in order."""
    found = (name for part in text for name in NAMES.split(part) if name)
    return tuple(dict.fromkeys(found))


class _ErrorsOfCommand(forms.Form):
    def __init__(self, data: QueryDict | None = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.tags: Tags = tags_of(data) if data is not None else ()
        self.names: tuple[str, ...] = names_in(data.getlist("device_names")) if data is not None else ()

    def add_errors(self, errors: dict[str, list[str]]) -> None:
        """What the command found; a field that this form does not show belongs to the whole."""
        for field, messages in errors.items():
            for message in messages:
                self.add_error(field if field in self.fields else None, message)


class VerifyForm(_ErrorsOfCommand):
    """Verify update package (vendor reference §2.1)."""

    title = forms.CharField(required=False, label=_("Title"))
    device_names = forms.CharField(required=False, label=_("Device names"), widget=forms.Textarea({"rows": 2}))
    timeout_minutes = forms.IntegerField(
        required=False, initial=DEFAULT_TIMEOUT_MINUTES, label=_("Device upgrade time-out")
    )
    needs_push = forms.BooleanField(required=False, initial=True)
    needs_confirm = forms.BooleanField(required=False)
    download_protocol = forms.ChoiceField(choices=Batch.Protocol.choices, label=_("Download protocol"), required=False)

    def request(self, package: str) -> LaunchRequest:
        """What the command takes. Only after `is_valid()`."""
        data = self.cleaned_data
        return LaunchRequest(
            package=package,
            kind=Batch.Kind.VERIFY,
            title=data["title"].strip(),
            device_names=self.names,
            timeout_minutes=data["timeout_minutes"],
            needs_push=data["needs_push"],
            needs_confirm=data["needs_confirm"],
            download_protocol=Batch.Protocol(data["download_protocol"] or Batch.Protocol.HTTPS),
            tags=self.tags,
        )


class LaunchForm(_ErrorsOfCommand):
    """Batch update (vendor reference §2.2, §2.3, §7.3). Fields carry the names of `LaunchRequest` where it has them."""

    title = forms.CharField(required=False, label=_("Title"))
    selection = forms.TypedChoiceField(choices=Batch.Selection.choices, coerce=int, initial=Batch.Selection.STATIC)
    target = forms.TypedChoiceField(choices=Batch.Target.choices, coerce=int, initial=Batch.Target.ALL, required=False)
    dynamic_by = forms.ChoiceField(choices=[("versions", ""), ("group", "")], initial="versions", required=False)
    dynamic_mode = forms.TypedChoiceField(choices=[("1", ""), ("2", "")], coerce=int, initial="1", required=False)
    device_names = forms.CharField(required=False, label=_("Device names"), widget=forms.Textarea({"rows": 3}))
    device_list = forms.CharField(required=False)
    group = forms.CharField(required=False)
    dynamic_group = forms.CharField(required=False)
    gray_percent = forms.DecimalField(required=False, label=_("Percentage of matching devices"))
    source_versions = forms.CharField(required=False, label=_("Versions to be updated"))

    when = forms.ChoiceField(choices=[("now", ""), ("scheduled", "")], initial="now", required=False)
    schedule_at = forms.DateTimeField(required=False, widget=LOCAL_TIME, input_formats=LOCAL_FORMATS, label=_("Start"))
    finish_at = forms.DateTimeField(
        required=False, widget=LOCAL_TIME, input_formats=LOCAL_FORMATS, label=_("Finish time")
    )
    rate_kind = forms.TypedChoiceField(choices=Batch.RateKind.choices, coerce=int, initial=Batch.RateKind.CONSTANT)
    rate_constant = forms.IntegerField(required=False, label=_("Devices per minute"))
    rate_per_minute = forms.IntegerField(required=False, label=_("At most"))
    rate_base_per_minute = forms.IntegerField(required=False, label=_("Base"))
    rate_factor = forms.FloatField(required=False, label=_("Growth"))
    rate_notified_step = forms.IntegerField(required=False, label=_("Every … notified"))
    rate_succeeded_step = forms.IntegerField(required=False, label=_("Every … updated"))
    retry_interval_minutes = forms.TypedChoiceField(
        required=False, choices=RETRY_INTERVALS, coerce=int, empty_value=None, label=_("Failure retry interval")
    )
    retry_count = forms.TypedChoiceField(
        required=False,
        choices=[(str(n), str(n)) for n in RETRY_COUNTS],
        coerce=int,
        empty_value=None,
        label=_("Retry count"),
    )
    timeout_minutes = forms.IntegerField(
        required=False, initial=DEFAULT_TIMEOUT_MINUTES, label=_("Device upgrade time-out")
    )
    notify_timeout_minutes = forms.IntegerField(required=False, label=_("No answer after push"))
    busy_policy = forms.TypedChoiceField(choices=Batch.BusyPolicy.choices, coerce=int, initial=Batch.BusyPolicy.FAIL)
    is_multi_module = forms.BooleanField(required=False)
    needs_push = forms.BooleanField(required=False, initial=True)
    needs_confirm = forms.BooleanField(required=False)
    download_protocol = forms.ChoiceField(choices=Batch.Protocol.choices, label=_("Download protocol"))
    fingerprint = forms.CharField(required=False)

    def __init__(self, data: QueryDict | None = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.versions: tuple[str, ...] = names_in(data.getlist("source_versions")) if data is not None else ()

    @property
    def is_dynamic(self) -> bool:
        return bool(self.cleaned_data["selection"] == Batch.Selection.DYNAMIC)

    def request(self, package: str) -> LaunchRequest:
        """What the command takes. Only after `is_valid()`. Fields that a choice hides are not sent by it."""
        data = self.cleaned_data
        interval = data["retry_interval_minutes"] if self._takes_versions else None
        return LaunchRequest(
            package=package,
            title=data["title"].strip(),
            selection=Batch.Selection(data["selection"]),
            **self._scope(),
            **self._schedule(),
            rate_kind=Batch.RateKind(data["rate_kind"]),
            rate=self._rate(),
            retry_interval_minutes=interval,
            retry_count=None if interval is None else data["retry_count"] or 1,
            timeout_minutes=data["timeout_minutes"],
            notify_timeout_minutes=data["notify_timeout_minutes"],
            busy_policy=Batch.BusyPolicy(data["busy_policy"]),
            is_multi_module=data["is_multi_module"],
            needs_push=data["needs_push"],
            needs_confirm=data["needs_confirm"],
            download_protocol=Batch.Protocol(data["download_protocol"]),
            tags=self.tags,
            fingerprint=data["fingerprint"],
        )

    @property
    def _takes_versions(self) -> bool:
        """Only then can failures be retried (seed)."""
        data = self.cleaned_data
        if self.is_dynamic:
            return bool(data["dynamic_by"] != "group")
        return data["target"] in (Batch.Target.ALL, Batch.Target.GRAY)

    def _scope(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.is_dynamic:
            by_group = data["dynamic_by"] == "group"
            return {
                "dynamic_mode": data["dynamic_mode"] or 1,
                "group": data["dynamic_group"] or None if by_group else None,
                "source_versions": () if by_group else self.versions,
            }
        target = Batch.Target(data["target"] or Batch.Target.ALL)
        is_specific = target == Batch.Target.SPECIFIC
        listed = data["device_list"] or None
        gray: Decimal | None = data["gray_percent"]
        return {
            "target": target,
            "device_names": self.names if is_specific and not listed else (),
            "device_list": listed if is_specific else None,
            "group": data["group"] or None if target == Batch.Target.GROUP else None,
            "gray_percent": gray if target == Batch.Target.GRAY else None,
            "source_versions": self.versions if self._takes_versions else (),
        }

    def _schedule(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.is_dynamic:
            return {}
        is_scheduled = data["when"] == "scheduled"
        return {"schedule_at": data["schedule_at"] if is_scheduled else None, "finish_at": data["finish_at"]}

    def _rate(self) -> Rate:
        data = self.cleaned_data
        if data["rate_kind"] == Batch.RateKind.CONSTANT:
            return Rate(data["rate_constant"])
        steps = (data["rate_notified_step"], data["rate_succeeded_step"])
        return Rate(data["rate_per_minute"], data["rate_base_per_minute"], data["rate_factor"], *steps)

    def add_errors(self, errors: dict[str, list[str]]) -> None:
        """As the base; the constant rate has a field of its own here."""
        is_constant = str(self.data.get("rate_kind", "0")) == str(Batch.RateKind.CONSTANT)
        renamed = {
            "rate_constant" if name == "rate_per_minute" and is_constant else name: found
            for name, found in errors.items()
        }
        super().add_errors(renamed)
