"""Where brokers and devices ask, and the console's list of devices.

`broker/…` is for brokers' hooks, `auth/register/device` for dynamic registration.
"""

from django.urls import include, path

from devices_app import access, views

urlpatterns = [
    path("broker/auth", access.auth, name="broker-auth"),
    path("broker/acl", access.acl, name="broker-acl"),
    path("broker/presence", access.presence, name="broker-presence"),
    path("auth/register/device", access.register, name="register-device"),
    path("devices/", include(([path("", views.device_list, name="list")], "devices"))),
]
