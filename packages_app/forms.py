"""What a person says about an update package. Forms only read what was typed; every rule is the command's."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from packages_app import limits
from packages_app.commands.create import PackageDraft
from packages_app.models import UpdatePackage
from packages_app.selectors import module_choices, product_choices


class SeveralFiles(forms.ClearableFileInput):
    """A file input for 1 to 20 files."""

    allow_multiple_selected = True


class PackageForm(forms.Form):
    """Add update package (vendor reference §7, page 2). Field names are those of `PackageDraft`, and `files`."""

    product = forms.ChoiceField(label=_("Product"))
    module = forms.ChoiceField(label=_("Module"), initial="default")
    name = forms.CharField(label=_("Update package name"), required=False, max_length=200)
    version = forms.CharField(label=_("Update package version number"), required=False, max_length=200)
    kind = forms.TypedChoiceField(
        label=_("Type"), choices=UpdatePackage.Kind.choices, coerce=int, initial=UpdatePackage.Kind.FULL
    )
    source_version = forms.CharField(label=_("Source version"), required=False, max_length=200)
    sign_method = forms.ChoiceField(
        label=_("Signature algorithm"),
        choices=UpdatePackage.SignMethod.choices,
        initial=UpdatePackage.SignMethod.SHA256,
    )
    needs_verification = forms.BooleanField(required=False, initial=True)
    description = forms.CharField(label=_("Description"), required=False)
    custom_info = forms.CharField(label=_("Custom information"), required=False, widget=forms.Textarea({"rows": 3}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["files"] = forms.Field(required=False)  # they come beside the form's data; here for their errors
        products = product_choices()
        chosen = str(self.data.get("product") or (products[0][0] if products else ""))
        names = module_choices(chosen)
        self.fields["product"].choices = products  # type: ignore[attr-defined]  # Field in the stubs, ChoiceField here
        self.fields["module"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]  # as above
        self.fields["description"].widget.attrs["maxlength"] = limits.MAX_DESCRIPTION_LENGTH

    def draft(self) -> PackageDraft:
        """What the command takes. Only after `is_valid()`."""
        data = self.cleaned_data
        is_delta = data["kind"] == UpdatePackage.Kind.DELTA
        return PackageDraft(
            product=data["product"],
            module=data["module"],
            name=data["name"].strip(),
            version=data["version"].strip(),
            kind=UpdatePackage.Kind(data["kind"]),
            source_version=data["source_version"].strip() if is_delta else "",
            sign_method=UpdatePackage.SignMethod(data["sign_method"]),
            needs_verification=data["needs_verification"],
            custom_info=data["custom_info"],
            description=data["description"].strip(),
        )

    def add_errors(self, errors: dict[str, list[str]]) -> None:
        """What the command found; a field that this form does not have belongs to the whole."""
        for field, messages in errors.items():
            for message in messages:
                self.add_error(field if field in self.fields else None, message)
