"""Edit: rate values and tags; for dynamic batches source versions and time-out too (seed)."""

from datetime import datetime
from typing import Any, Final, Self

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from batches_app.commands.edit import KEEP, BatchEdit
from batches_app.domain.pacing import Rate
from batches_app.forms.tags import Tags, tags_of
from batches_app.selectors.batches import BatchFacts

RATE_FIELDS: Final = (
    "rate_per_minute",
    "rate_base_per_minute",
    "rate_factor",
    "rate_notified_step",
    "rate_succeeded_step",
)


class EditForm(forms.Form):
    """`part` says what the dialog offered: `edit-rate`, `edit-tags`, or `edit` for everything."""

    part = forms.ChoiceField(choices=[(name, name) for name in ("edit", "edit-rate", "edit-tags")])
    seen_at = forms.CharField(required=False)
    rate_per_minute = forms.IntegerField(required=False, label=_("Devices per minute"))
    rate_base_per_minute = forms.IntegerField(required=False, label=_("Base"))
    rate_factor = forms.FloatField(required=False, label=_("Growth"))
    rate_notified_step = forms.IntegerField(required=False, label=_("Every … notified"))
    rate_succeeded_step = forms.IntegerField(required=False, label=_("Every … updated"))
    timeout_minutes = forms.IntegerField(required=False, label=_("Device upgrade time-out"))
    source_versions = forms.CharField(required=False, label=_("Versions to be updated"))

    tags: Tags = ()

    def __init__(self, data: QueryDict | None = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.tags = tags_of(data) if data is not None else kwargs.get("initial", {}).get("tags", ())

    @classmethod
    def of(cls, facts: BatchFacts) -> Self:
        """Filled with the batch as it stands."""
        batch = facts.batch
        values = {name: getattr(batch, name) for name in RATE_FIELDS}
        values |= {
            "tags": tuple((tag.key, tag.value) for tag in batch.tags.all()),
            "timeout_minutes": batch.timeout_minutes,
            "source_versions": ", ".join(batch.source_versions),
            "seen_at": batch.updated_at.isoformat(),
        }
        return cls(initial=values)

    def values_back(self, part: str, updated_at: datetime) -> list[tuple[str, object]]:
        """What to post so that the batch becomes again what this form, made by `of`, shows."""
        names = (*RATE_FIELDS, "timeout_minutes", "source_versions")
        values = [(name, value) for name in names if (value := self.initial[name]) is not None]
        pairs = [(name, text) for tag in self.tags for name, text in zip(("tag_key", "tag_value"), tag, strict=True)]
        return [("part", part), ("undo", "1"), ("seen_at", updated_at.isoformat()), *values, *pairs]

    @property
    def has_rate(self) -> bool:
        return bool(self.cleaned_data["part"] != "edit-tags")

    def edit(self, facts: BatchFacts) -> BatchEdit:
        """What the command takes. Only after `is_valid()`."""
        data = self.cleaned_data
        is_whole = data["part"] == "edit"
        of_policy = is_whole and facts.is_dynamic
        versions = tuple(filter(None, (part.strip() for part in data["source_versions"].split(","))))
        return BatchEdit(
            rate=self._rate(facts) if self.has_rate else KEEP,
            tags=self.tags if is_whole or not self.has_rate else KEEP,
            timeout_minutes=data["timeout_minutes"] if of_policy else KEEP,
            source_versions=versions if of_policy and facts.batch.group_id is None else KEEP,
        )

    def _rate(self, facts: BatchFacts) -> Rate:
        data = self.cleaned_data
        if not facts.is_variable:
            return Rate(data["rate_per_minute"])
        return Rate(*(data[name] for name in RATE_FIELDS))

    @property
    def expected_updated_at(self) -> datetime | None:
        """When the batch was last changed before the dialog opened."""
        try:
            return datetime.fromisoformat(self.cleaned_data["seen_at"])
        except ValueError:
            return None

    def add_errors(self, errors: dict[str, list[str]]) -> None:
        """What the command found; a field that the dialog does not show belongs to the whole."""
        for field, messages in errors.items():
            for message in messages:
                self.add_error(field if field in self.fields else None, message)
