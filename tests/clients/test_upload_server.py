"""Uploads through the server as it is shipped: refused before they are read, or read once, and nothing left behind."""

import json
from collections.abc import Iterator
from hashlib import sha256

import psutil
import pytest
from django.conf import settings
from django.test import Client
from rest_framework.authtoken.models import Token

from devices_app.models import Product
from ota_console.demo.processes import wait_until
from packages_app import limits
from packages_app.models import PackageFile
from tests.downloads import connected, receive
from tests.factories import make_product, make_user
from tests.uploads import MEGABYTE, WebProcess, begin, head, multipart, running_web, send_pieces

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 20
HUNDRED_MEGABYTES = 100 * MEGABYTE
FORM = "Content-Type: multipart/form-data; boundary=x"
PIECE = bytes(range(256)) * 4096
CSRF = "c" * 32
OPEN_PATHS = ["/login/", "/admin/login/", "/api/v1/auth/token/", "/broker/auth", "/auth/register/device"]


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    with running_web(tmp_path_factory.mktemp("web")) as process:
        yield process


@pytest.fixture
def token() -> str:
    return f"Authorization: Token {Token.objects.create(user=make_user()).key}"


@pytest.fixture
def product() -> Product:
    return make_product()


def fields(product: Product) -> dict[str, str]:
    return {"product_key": product.product_key, "name": "meter-fw", "version": "2.0.0"}


@pytest.mark.parametrize("path", [*OPEN_PATHS, *settings.UPLOAD_PATHS, "/", "/ota/batches/", "/nowhere/"])
def test_a_stranger_is_answered_before_the_body_is_read(server: WebProcess, path: str) -> None:
    """100 MB are announced and one is sent: the answer comes, and the server holds none of it."""
    cookie = f"Cookie: csrftoken={CSRF}; sessionid={CSRF}"
    start, _ = multipart({"csrfmiddlewaretoken": CSRF}, 0)
    answer = begin(server.port, path, cookie, FORM, f"Content-Length: {HUNDRED_MEGABYTES}", first=start + PIECE)
    status = int(answer.status_line.split()[1])
    assert status in {302, 401, 403, 404, 413}
    assert (status == 413) == (path not in settings.UPLOAD_PATHS)
    assert server.stored() == []


def test_what_is_too_large_for_an_address_is_said(server: WebProcess, token: str) -> None:
    """By a page to a person, as a problem to a program, with the size that is taken."""
    length = f"Content-Length: {HUNDRED_MEGABYTES}"
    page = begin(server.port, "/ota/batches/", FORM, length, first=PIECE)
    assert b"At most 12 MB are taken at this address" in page.body
    problem = begin(server.port, "/api/v1/devices/", token, length, first=PIECE)
    assert json.loads(problem.body)["code"] == "too_large"
    beyond = begin(
        server.port, "/api/v1/packages/", token, f"Content-Length: {limits.MAX_REQUEST_BYTES + 1}", first=b"x"
    )
    assert json.loads(beyond.body)["status"] == 413


def test_a_large_body_says_its_length(server: WebProcess, token: str) -> None:
    """Else it could be without end. A small one need not."""
    chunked = "Transfer-Encoding: chunked"
    chunk = b"%x\r\n%s\r\n" % (len(PIECE), PIECE)
    endless = begin(server.port, "/api/v1/products/", token, chunked, first=chunk)
    assert json.loads(endless.body)["code"] == "length_required"
    body = b'{"name": "Meter"}'
    small = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    made = begin(server.port, "/api/v1/products/", token, chunked, "Content-Type: application/json", first=small)
    assert made.status_line == b"HTTP/1.1 201 Created"


def test_an_upload_is_written_once_and_digested_on_its_way(server: WebProcess, token: str, product: Product) -> None:
    """100 MB through the API: the digest is right, the memory bounded, and no second copy is made."""
    before, after = multipart(fields(product), 0)
    length = f"Content-Length: {len(before) + HUNDRED_MEGABYTES + len(after)}"
    process = psutil.Process(server.child.pid)
    held, written = process.memory_info().rss, process.io_counters().write_chars
    with connected(server.port) as client:
        client.sendall(head("/api/v1/packages/", token, FORM, length) + before)
        send_pieces(client, PIECE, 100)
        client.sendall(after)
        answer = receive(client)
    assert answer.status_line == b"HTTP/1.1 201 Created", answer.body
    assert PackageFile.objects.get().sha256 == sha256(PIECE * 100).hexdigest()
    assert process.memory_info().rss - held < 48 * MEGABYTE
    assert process.io_counters().write_chars - written < 1.2 * HUNDRED_MEGABYTES
    (stored,) = server.stored()
    assert stored.stat().st_size == HUNDRED_MEGABYTES
    stored.unlink()


def test_a_person_uploads_through_the_page(server: WebProcess, product: Product) -> None:
    """With the session and the form's token against forged requests."""
    browser = Client()
    browser.force_login(make_user())
    cookie = f"Cookie: csrftoken={CSRF}; sessionid={browser.cookies['sessionid'].value}"
    form = {"csrfmiddlewaretoken": CSRF, "product": product.product_key, "module": "default", "kind": "0"}
    before, after = multipart({**form, "name": "meter-fw", "version": "2.0.0", "sign_method": "SHA256"}, 0)
    whole = before + PIECE + after
    answer = begin(server.port, "/ota/packages/new/", cookie, FORM, f"Content-Length: {len(whole)}", first=whole)
    assert answer.status_line == b"HTTP/1.1 302 Found", answer.body
    assert PackageFile.objects.get().sha256 == sha256(PIECE).hexdigest()
    for stored in server.stored():
        stored.unlink()


def test_an_upload_that_is_cut_off_leaves_nothing(server: WebProcess, token: str, product: Product) -> None:
    """The client vanishes in the middle; the server has no file of it, and serves on."""
    before, _ = multipart(fields(product), 0)
    with connected(server.port) as client:
        client.sendall(head("/api/v1/packages/", token, FORM, f"Content-Length: {HUNDRED_MEGABYTES}") + before)
        send_pieces(client, PIECE, 5)
        assert wait_until(lambda: bool(server.stored()), PATIENCE_SECONDS)
    assert wait_until(lambda: server.stored() == [], PATIENCE_SECONDS)
    assert not PackageFile.objects.exists()
    assert begin(server.port, "/login/", "Content-Length: 0", first=b"").status_line == b"HTTP/1.1 403 Forbidden"
