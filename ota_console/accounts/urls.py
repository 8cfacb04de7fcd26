"""Addresses of signing in and out; their names are Django's, so that its own redirects find them."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from ota_console.accounts.views import SignIn, set_theme

urlpatterns = [
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/theme/", set_theme, name="set-theme"),
]
