"""The pages of update packages: list, upload, the three tabs, deletion."""

import re
from hashlib import sha256

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from batches_app.domain.states import TaskStatus
from batches_app.models import Batch
from batches_app.selectors import task_rows
from packages_app.models import UpdatePackage
from tests.factories import make_batch, make_device, make_devices, make_package, make_product, make_task
from tests.pages import DIALOG, HTMX, Console

Status = UpdatePackage.Status


def test_without_packages_the_list_explains_the_first_three_steps(console: Console) -> None:
    """One primary button, and what happens afterwards."""
    page = console.get("/ota/packages/")
    assert "Your first update takes three steps" in page.text
    assert "Nothing reaches a device until you launch a batch." in page.text


def test_the_home_page_is_the_package_list(console: Console) -> None:
    """Until there is an overview."""
    assert console.get("/").location == "/ota/packages/"


def test_actions_that_a_status_forbids_say_why(console: Console) -> None:
    """Visible and reachable by keyboard, never dead without a reason (design §6)."""
    make_package(make_product(), status=Status.NOT_VERIFIED)
    page = console.get("/ota/packages/")
    assert 'data-why="Verify this package first"' in page.html
    assert "/verify/" in page.html
    assert "/launch/" not in page.html


def test_the_list_is_narrowed_by_what_its_address_says(console: Console) -> None:
    """A pasted link shows the same view; an unknown value is ignored."""
    product = make_product()
    make_package(product, name="wanted", version="7.7")
    make_package(make_product(), name="other")
    for query in ("q=7.7", f"product={product.product_key}", "q=want&status=-1&type=0"):
        page = console.get(f"/ota/packages/?{query}")
        assert ("wanted" in page.text, "other" in page.text) == (True, False), query
    assert "wanted" in console.get("/ota/packages/?status=nonsense").text
    assert "Clear filters" in console.get("/ota/packages/?q=nothing-like-this").text


def upload(**values: object) -> dict[str, object]:
    product = make_product()
    content = SimpleUploadedFile("image.bin", b"the firmware")
    facts = {"product": product.product_key, "module": "default", "name": "fresh", "version": "2.0"}
    return {**facts, "kind": "0", "sign_method": "SHA256", "files": content, **values}


def test_an_upload_shows_the_digest_that_the_server_computed(console: Console) -> None:
    """Asked by the page's script: JSON, since a form with files is not drawn again."""
    answer = console.post("/ota/packages/new/", upload(), {"Accept": "application/json"})
    assert answer.status == 201
    assert answer.response.json()["sign"] == sha256(b"the firmware").hexdigest()
    assert UpdatePackage.objects.get().status == Status.VERIFICATION_NOT_REQUIRED


def test_an_upload_without_a_script_leads_to_the_package(console: Console) -> None:
    """The same form works as an ordinary one."""
    answer = console.post("/ota/packages/new/", upload(needs_verification="on"))
    package = UpdatePackage.objects.get()
    assert answer.location == f"/ota/packages/{package.public_id}/info/"
    assert package.status == Status.NOT_VERIFIED


def test_what_is_wrong_with_an_upload_stands_at_its_fields(console: Console) -> None:
    """All mistakes at once, for the script and on the page."""
    wrong = {"name": "-", "version": "", "files": ""}
    answer = console.post("/ota/packages/new/", upload(**wrong), {"Accept": "application/json"})
    assert answer.status == 400
    assert set(answer.response.json()["errors"]) == {"name", "version", "files"}
    page = console.post("/ota/packages/new/", upload(**wrong))
    assert (page.status, "Choose at least one file." in page.text) == (400, True)


def test_a_delta_package_needs_its_source_version(console: Console) -> None:
    """The sentence says what to enter."""
    answer = console.post("/ota/packages/new/", upload(kind="1"), {"Accept": "application/json"})
    assert "Enter the source version." in answer.response.json()["errors"]["source_version"][0]


def test_the_modules_of_the_chosen_product_are_offered(console: Console) -> None:
    """The product decides."""
    product = make_product()
    product.modules.create(name="modem", created_at=product.created_at)
    page = console.get(f"/ota/packages/new/modules/?product={product.product_key}", HTMX)
    assert page.text == "default modem"


def test_the_information_tab_shows_what_the_seed_lists(console: Console) -> None:
    """ID, name, signature, signature algorithm, version number, status and module; Download next to the signature."""
    package = make_package(make_product(), name="meter-main", version="4.2")
    page = console.get(f"/ota/packages/{package.public_id}/info/")
    assert 'info/" aria-current="page">Update package information' in page.html
    for words in (
        f"Update package ID {package.public_id}",
        "Update package name meter-main",
        f"Update package signature {package.sign} Download",
        "Signature algorithm MD5",
        "Update package version number 4.2",
        "Status Verification not required",
        "Module default",
    ):
        assert words in page.text
    assert "/d/" not in page.html


def test_download_leads_to_a_signed_link(console: Console) -> None:
    """A person's link, short-lived; an unknown file is not found."""
    package = make_package(make_product())
    address = f"/ota/packages/{package.public_id}/files/"
    assert f"/p/{package.public_id}/1?e=" in console.get(f"{address}1/").location
    assert console.get(f"{address}2/").status == 404


def offered(html: str) -> list[str]:
    """The actions of all rows that are not hidden for the batch's status."""
    return re.findall(r'data-dialog data-while="[^"]*">(\w+)<', html)


def test_the_batch_tab_names_the_type_and_offers_edit_only_while_upgrading(console: Console) -> None:
    """Seed: Verify update package and Batch update; View, Edit, Cancel."""
    package = make_package(make_product())
    make_batch(package, kind=Batch.Kind.VERIFY, status=2)
    page = console.get(f"/ota/packages/{package.public_id}/batches/")
    assert "Verify update package" in page.text
    assert offered(page.html) == []
    make_batch(package)
    page = console.get(f"/ota/packages/{package.public_id}/batches/")
    assert "Batch update" in page.text
    assert offered(page.html) == ["Edit", "Cancel"]


def test_the_device_tab_has_a_row_per_update_and_its_statistics(console: Console) -> None:
    """Updated, failed and canceled; View opens the Batch details page on that device (seed)."""
    package = make_package(make_product())
    batch = make_batch(package)
    names = {}
    for status in (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.FAILED, TaskStatus.CANCELED, TaskStatus.QUEUED):
        device = make_device(package.product)
        names[device.name] = make_task(batch, device, status)
    page = console.get(f"/ota/packages/{package.public_id}/devices/")
    counts = {name: page.count(name) for name in ("all", "SUCCEEDED", "FAILED", "CANCELED")}
    assert counts == {"all": "5", "SUCCEEDED": "1", "FAILED": "2", "CANCELED": "1"}
    assert page.count("CONFIRM+QUEUED+NOTIFIED+IN_PROGRESS") == "1"
    assert page.rows == [task.public_id for task in names.values()]
    assert all(f"/ota/batches/{batch.public_id}/devices/?device={name}" in page.html for name in names)


def test_the_device_tab_goes_through_all_batches_newest_first(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, each update once, also with more batches than one statement joins."""
    monkeypatch.setattr(task_rows, "PAGE_SIZE", 7)
    monkeypatch.setattr(task_rows, "PAIRS_PER_STATEMENT", 3)
    package = make_package(make_product())
    devices = make_devices(package.product, 3)
    expected: list[str] = []
    for _ in range(6):
        batch = make_batch(package)
        done = [make_task(batch, device, TaskStatus(4 + number)) for number, device in enumerate(devices)]
        expected = [task.public_id for task in done] + expected
    seen: list[str] = []
    after = ""
    for _ in range(4):
        page = console.get(f"/ota/packages/{package.public_id}/devices/?after={after}", HTMX)
        seen += page.rows
        after = page.rows[-1] if page.rows else after
    assert seen == expected


def test_a_package_is_deleted_by_typing_its_version(console: Console) -> None:
    """No reflex deletes; the dialog's harmless button has the focus."""
    package = make_package(make_product(), version="3.1")
    address = f"/ota/packages/{package.public_id}/"
    dialog = console.get(f"{address}info/?dialog=delete", DIALOG)
    assert "data-close autofocus" in dialog.html
    refused = console.post(f"{address}delete/", {"version": "3"}, HTMX)
    assert (refused.status, "Type the version number 3.1." in refused.text) == (422, True)
    assert console.post(f"{address}delete/", {"version": "3.1"}, HTMX).location == "/ota/packages/"
    assert not UpdatePackage.objects.exists()


def test_a_package_with_batches_stays(console: Console) -> None:
    """The refusal comes as a sentence in the place for messages."""
    package = make_package(make_product())
    make_batch(package)
    answer = console.post(f"/ota/packages/{package.public_id}/delete/", {"version": package.version}, HTMX)
    assert (answer.status, answer.response["HX-Retarget"]) == (409, "#messages")
    assert "Update batches have used this package." in answer.text


@pytest.mark.parametrize("tab", ["batches/", "devices/", "info/", "launch/", "verify/"])
def test_an_unknown_package_is_not_found(console: Console, tab: str) -> None:
    """With a page that says what to do."""
    page = console.get(f"/ota/packages/nothing/{tab}")
    assert (page.status, "Go to the console" in page.text) == (404, True)
