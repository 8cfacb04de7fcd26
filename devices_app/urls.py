"""Where brokers and devices ask: `broker/…` for brokers' hooks, `auth/register/device` for dynamic registration."""

from django.urls import path

from devices_app import access

urlpatterns = [
    path("broker/auth", access.auth, name="broker-auth"),
    path("broker/acl", access.acl, name="broker-acl"),
    path("broker/presence", access.presence, name="broker-presence"),
    path("auth/register/device", access.register, name="register-device"),
]
