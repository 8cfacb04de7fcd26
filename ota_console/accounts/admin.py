"""Accounts in the admin: the one place where people are added. Their tokens are only listed, without their keys.

A token is revoked by `manage.py drf_create_token --reset`, or with its person's account (docs/reference/api.md).
"""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework.authtoken.admin import TokenAdmin as RestTokenAdmin
from rest_framework.authtoken.models import TokenProxy
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from ota_console.accounts.models import User
from ota_console.web.admin import ReadOnlyMixin

admin.site.unregister(Group)
admin.site.unregister(TokenProxy)


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User], ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    fieldsets = (*(DjangoUserAdmin.fieldsets or ()), (_("Preferences"), {"fields": ("language", "time_zone", "theme")}))


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


@admin.register(TokenProxy)
class TokenAdmin(ReadOnlyMixin, RestTokenAdmin, ModelAdmin):
    list_display = ("user", "created")
    list_display_links = None
    list_select_related = ("user",)

    def has_view_permission(self, request: HttpRequest, obj: TokenProxy | None = None) -> bool:
        """Who has one, and since when; a page of one token would be headed by its key."""
        return obj is None and super().has_view_permission(request, obj)
