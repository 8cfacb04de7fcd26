"""The firmware download, byte for byte, from the real server: what the vendor's device SDKs need (interop.md 7)."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from batches_app.domain.states import TaskStatus
from batches_app.models import Batch, Task
from packages_app.links import LinkKind
from packages_app.models import PackageFile, UpdatePackage
from tests.downloads import DownloadProcess, Raw, ask, connected, receive, receive_head, running_downloads, send, target
from tests.factories import make_batch, make_device, make_package, make_product, make_task

pytestmark = pytest.mark.django_db(transaction=True)
CONTENT = bytes(range(256)) * 40
ETAG = f'"{sha256(CONTENT).hexdigest()}"'
THOUSAND_MEGABYTES = 1000 * 1024 * 1024
ALLOWED_GROWTH = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[DownloadProcess]:
    with running_downloads() as process:
        yield process


@pytest.fixture
def package() -> UpdatePackage:
    return make_package(make_product(), content=CONTENT)


@pytest.fixture
def task(package: UpdatePackage) -> Task:
    return make_task(make_batch(package), make_device(package.product), TaskStatus.NOTIFIED)


@pytest.fixture
def path(task: Task) -> str:
    return target(LinkKind.DEVICE, task.public_id)


def test_a_plain_request_gets_the_whole_file(server: DownloadProcess, path: str) -> None:
    """HTTP/1.1, `Content-Length` spelled exactly so, no chunked coding."""
    answer = ask(server.port, path)
    assert answer.status_line == b"HTTP/1.1 200 OK"
    assert b"Content-Length: 10240" in answer.header_lines
    assert b"Accept-Ranges: bytes" in answer.header_lines
    assert not [line for line in answer.header_lines if line.lower().startswith(b"transfer-encoding")]
    assert answer.body == CONTENT


def test_the_open_range_that_the_c_sdk_always_sends_gets_206(server: DownloadProcess, path: str) -> None:
    """`bytes=0-` is the whole file as partial content."""
    answer = ask(server.port, path, "Range: bytes=0-")
    assert answer.status_line == b"HTTP/1.1 206 Partial Content"
    assert {b"Content-Range: bytes 0-10239/10240", b"Content-Length: 10240"} <= set(answer.header_lines)
    assert answer.body == CONTENT


@pytest.mark.parametrize(
    ("asked", "span", "part"),
    [
        ("bytes=100-199", b"100-199", CONTENT[100:200]),
        ("bytes=10000-99999", b"10000-10239", CONTENT[10000:]),
        ("bytes=-7", b"10233-10239", CONTENT[-7:]),
    ],
)
def test_any_single_range_is_given(server: DownloadProcess, path: str, asked: str, span: bytes, part: bytes) -> None:
    """From the middle, over the end, the last bytes."""
    answer = ask(server.port, path, f"Range: {asked}")
    assert answer.status_line == b"HTTP/1.1 206 Partial Content"
    expected = {b"Content-Range: bytes " + span + b"/10240", b"Content-Length: %d" % len(part)}
    assert expected <= set(answer.header_lines)
    assert answer.body == part


def test_a_range_behind_the_end_is_refused_with_the_size(server: DownloadProcess, path: str) -> None:
    """416 tells the client how long the file is."""
    answer = ask(server.port, path, "Range: bytes=10240-")
    assert answer.status_line == b"HTTP/1.1 416 Range Not Satisfiable"
    assert b"Content-Range: bytes */10240" in answer.header_lines


def test_a_broken_download_is_resumed(server: DownloadProcess, path: str) -> None:
    """The device goes on from the byte it has, and the digest is right."""
    with connected(server.port) as client:
        send(client, path)
        _, first = receive_head(client)
        first = (first + client.recv(3000))[:3000]
    rest = ask(server.port, path, f"Range: bytes={len(first)}-", f"If-Range: {ETAG}").body
    assert sha256(first + rest).hexdigest() == sha256(CONTENT).hexdigest()


def test_a_range_of_another_file_gets_the_whole_one(server: DownloadProcess, path: str) -> None:
    """If-Range protects from gluing two versions together."""
    answer = ask(server.port, path, "Range: bytes=5-", 'If-Range: "another"')
    assert (answer.status_line, answer.body) == (b"HTTP/1.1 200 OK", CONTENT)


def test_who_has_the_file_is_not_sent_it_again(server: DownloadProcess, path: str) -> None:
    """304 by ETag."""
    answer = ask(server.port, path, f"If-None-Match: {ETAG}")
    assert (answer.status_line, answer.body) == (b"HTTP/1.1 304 Not Modified", b"")
    assert b"ETag: " + ETAG.encode() in answer.header_lines


def test_one_connection_serves_several_requests(server: DownloadProcess, path: str) -> None:
    """HEAD says the same without a body, and GET follows on the same connection."""
    with connected(server.port) as client:
        send(client, path, method="HEAD")
        head = receive(client, has_body=False)
        send(client, path)
        whole = receive(client)
    assert (head.status_line, head.body) == (b"HTTP/1.1 200 OK", b"")
    assert b"Content-Length: 10240" in head.header_lines
    assert whole.body == CONTENT


def test_a_person_gets_the_files_name(server: DownloadProcess, package: UpdatePackage) -> None:
    """A link to a package needs no task."""
    answer = ask(server.port, target(LinkKind.PERSON, package.public_id))
    assert answer.body == CONTENT
    assert b"Content-Disposition: attachment; filename*=UTF-8''firmware.bin" in answer.header_lines


def test_an_expired_link_is_gone(server: DownloadProcess, task: Task) -> None:
    """410 with a sentence."""
    answer = ask(server.port, target(LinkKind.DEVICE, task.public_id, lifetime=timedelta(seconds=-1)))
    assert refused(answer) == (b"HTTP/1.1 410 Gone", b"This download link has expired.\n")


def test_a_changed_link_is_forbidden(server: DownloadProcess, path: str) -> None:
    """403: another task's file cannot be had by editing the address."""
    answer = ask(server.port, path.replace("/d/", "/p/"))
    assert refused(answer) == (b"HTTP/1.1 403 Forbidden", b"This download link was not made here.\n")


@pytest.mark.parametrize("address", ["/", "/d/", "/admin/", "/d/%00/1?e=1&s=x", "/../../etc/passwd"])
def test_there_is_nothing_else_on_this_server(server: DownloadProcess, address: str) -> None:
    """No page, no API, no file by name."""
    answer = ask(server.port, address)
    assert refused(answer) == (b"HTTP/1.1 404 Not Found", b"There is nothing at this address.\n")


def test_a_file_that_the_package_does_not_have_is_not_found(server: DownloadProcess, task: Task) -> None:
    """The link is ours, the position is not."""
    answer = ask(server.port, target(LinkKind.DEVICE, task.public_id, position=2))
    assert answer.status_line == b"HTTP/1.1 404 Not Found"


def test_nothing_can_be_sent_to_this_server(server: DownloadProcess, path: str) -> None:
    """405 names what may be done."""
    answer = ask(server.port, path, "Content-Length: 0", method="POST")
    assert answer.status_line == b"HTTP/1.1 405 Method Not Allowed"
    assert b"Allow: GET, HEAD" in answer.header_lines


@pytest.mark.parametrize("status", [TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELED])
def test_the_link_dies_with_its_task(server: DownloadProcess, task: Task, path: str, status: TaskStatus) -> None:
    """rules.md §5: valid while the task is unfinished."""
    assert ask(server.port, path).status_line == b"HTTP/1.1 200 OK"
    Task.objects.filter(pk=task.pk).update(status=status, due_at=None, deadline_at=None, reason=1)
    expected = b"The update of this device has ended, and its download link with it.\n"
    assert refused(ask(server.port, path)) == (b"HTTP/1.1 410 Gone", expected)


def test_a_task_that_is_being_canceled_gives_nothing_out(server: DownloadProcess, task: Task, path: str) -> None:
    """What was asked on the batch holds before its slices have reached the task (rules.md §3)."""
    Batch.objects.filter(pk=task.batch_id).update(cancel_mask=1 << TaskStatus.NOTIFIED)
    assert ask(server.port, path).status_line == b"HTTP/1.1 410 Gone"


def test_1000_megabytes_go_out_in_constant_memory(server: DownloadProcess, package: UpdatePackage) -> None:
    """The server's peak memory does not grow with the file."""
    stored = Path(settings.MEDIA_ROOT) / "packages" / "sparse.bin"
    with stored.open("wb") as file:
        file.truncate(THOUSAND_MEGABYTES)
    files = PackageFile.objects.filter(package=package)
    files.update(file="packages/sparse.bin", size_bytes=THOUSAND_MEGABYTES)
    before = peak_bytes(server)
    assert received_bytes(server, target(LinkKind.PERSON, package.public_id)) == THOUSAND_MEGABYTES
    assert peak_bytes(server) - before < ALLOWED_GROWTH
    stored.unlink()


def refused(answer: Raw) -> tuple[bytes, bytes]:
    return answer.status_line, answer.body


def received_bytes(server: DownloadProcess, path: str) -> int:
    """How many bytes of body arrived; they are thrown away."""
    buffer = bytearray(1024 * 1024)
    with connected(server.port) as client:
        send(client, path, "Connection: close")
        _, rest = receive_head(client)
        count = len(rest)
        while taken := client.recv_into(buffer):
            count += taken
    return count


def peak_bytes(server: DownloadProcess) -> int:
    """The highest resident memory so far of the process that serves."""
    (worker,) = psutil.Process(server.child.pid).children()
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
