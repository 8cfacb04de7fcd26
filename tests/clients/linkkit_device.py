"""The vendor's Python SDK, unmodified, as a device: run by an interpreter of its own (see `vendor_sdk.py`).

Says what happens as JSON lines on stdout and does what it is told by JSON lists on stdin. It is told nothing of this
project: whatever it needs to know, it learns from the broker.
"""

import json
import logging
import re
import sys
import threading
from typing import Any

from linkkit.linkkit import LinkKit  # type: ignore[import-not-found]  # lives in the other environment

_speaking = threading.Lock()


def say(event: str, **values: Any) -> None:
    with _speaking:
        sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
        sys.stdout.flush()


class Answers(logging.Handler):
    """The SDK tells nobody that it was refused, but its MQTT library writes it down."""

    def emit(self, record: logging.LogRecord) -> None:
        found = re.search(r"Received CONNACK \(\d+, (\d+)\)", record.getMessage())
        if found:
            say("connack", code=int(found[1]))


def make_device(settings: dict[str, Any]) -> Any:
    device = LinkKit(
        host_name="cn-shanghai",
        product_key=settings["product_key"],
        device_name=settings["device_name"],
        device_secret=settings.get("device_secret", ""),
        product_secret=settings.get("product_secret", ""),
        auth_type=settings.get("auth_type", ""),
    )
    device.enable_logger(logging.DEBUG)
    logging.getLogger("Paho").addHandler(Answers())
    device.config_mqtt(port=settings["port"], endpoint="127.0.0.1", secure="")
    device.on_connect = lambda _session, code, _data: say("connected", code=code)
    device.on_disconnect = lambda code, _data: say("disconnected", code=code)
    device.on_device_dynamic_register = lambda code, secret, _data: say("registered", code=code, secret=secret)
    device.on_ota_message_arrived = lambda kind, version, size, url, method, sign, module, extra: say(
        "ota", kind=kind, version=version, size=size, url=url, method=method, sign=sign, module=module, extra=extra
    )
    return device


def obey(device: Any, settings: dict[str, Any], order: list[Any]) -> None:
    names = f"{settings['product_key']}/{settings['device_name']}"
    match order:
        case ["version", module, version]:
            device.ota_report_version(module, version)
        case ["progress", step]:
            payload = json.dumps({"id": "1", "params": {"step": str(step), "desc": ""}})
            device.publish_topic(f"/ota/device/progress/{names}", payload, 0)
        case ["pull", module]:
            device.query_ota_firmware(module)
        case ["download", url, path, method, sign]:
            code = device.download_ota_firmware(url, path, method, sign)
            say("downloaded", code=getattr(code, "value", code))


def main() -> None:
    settings = json.loads(sys.argv[1])
    device = make_device(settings)
    device.connect_async()
    for line in sys.stdin:
        obey(device, settings, json.loads(line))
    device.destruct()


main()
