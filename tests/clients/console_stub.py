"""The console's log-in endpoint for brokers, without a console: tests of clients need no database.

`tests/web/test_broker_hooks.py` holds the real endpoint to the same answers.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from devices_app.protocol import credentials, topics
from devices_app.protocol.payloads import register_reply

BROKER_SECRET = "tests-share-this-with-the-broker"
PRODUCT_KEY = "a1B2c3D4e5F"
PRODUCT_SECRET = "product-secret-of-the-tests"


def secret_of(device_name: str) -> str:
    """Every device of the product exists."""
    return f"secret-of-{device_name}"


def answer(body: dict[str, str]) -> dict[str, object]:
    """What the console says to this log-in."""
    login = credentials.parse_login(body["client_id"], body["username"])
    if login is None or login.product_key != PRODUCT_KEY:
        return {"result": "deny"}
    if login.auth_type == credentials.REGISTER:
        payload = register_reply(PRODUCT_KEY, login.device_name, secret_of(login.device_name)).decode()
        return {"result": "allow", "is_superuser": False, "publish": {"topic": topics.REGISTER, "payload": payload}}
    if not credentials.is_password_right(login, body["password"], secret_of(login.device_name)):
        return {"result": "deny"}
    return {
        "result": "allow",
        "is_superuser": False,
        "product_key": PRODUCT_KEY,
        "device_name": login.device_name,
        "delivers_unasked": login.delivers_unasked,
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_known = self.headers["X-Broker-Secret"] == BROKER_SECRET and self.path == "/broker/auth"
        reply = json.dumps(answer(body) if is_known else {"result": "deny"}).encode()
        self.send_response(200 if is_known else 403)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def running_console() -> Iterator[str]:
    """Its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
