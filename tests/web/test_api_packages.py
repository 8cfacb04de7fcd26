"""Update packages over the API: upload, limits, edit, delete, download."""

from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import TestCase

from ota_console.audit.models import AuditEntry
from packages_app import limits, uploads
from packages_app.models import PackageFile, UpdatePackage
from tests.api import Answer, Api
from tests.factories import make_batch, make_package, make_product

CONTENT = b"a new firmware"
SHA256 = sha256(CONTENT).hexdigest()
MD5 = md5(CONTENT, usedforsecurity=False).hexdigest()


def upload(api: Api, files: dict[str, bytes] | None = None, **fields: Any) -> Answer:
    """A package that is all right, but for what the test says."""
    given = {
        "product_key": fields.pop("product_key", None) or make_product().product_key,
        "name": "meter-fw",
        "version": "1.1",
    }
    return api.upload("packages/", {"firmware.bin": CONTENT} if files is None else files, **{**given, **fields})


def test_an_uploaded_package_has_its_digests(api: Api) -> None:
    """Computed by us; the sign is by the chosen method; it must be verified first."""
    answer = upload(api, sign_method="SHA256", description="Fixes the clock", custom_info=" {any thing} ")
    assert answer.status == 201, answer.body
    assert (answer.body["status"], answer.body["kind"], answer.body["module"]) == ("NOT_VERIFIED", "FULL", "default")
    assert (answer.body["sign"], answer.body["custom_info"]) == (SHA256, " {any thing} ")
    assert answer.body["files"] == [
        {"position": 1, "name": "firmware.bin", "size_bytes": 14, "md5": MD5, "sha256": SHA256, "sign": SHA256}
    ]
    assert api.get(f"packages/{answer.body['id']}/").body == answer.body
    with PackageFile.objects.get().file.open() as stored:
        assert stored.read() == CONTENT


def test_md5_is_the_default_and_verification_may_be_left_out(api: Api) -> None:
    """Vendor reference §1.3: MD5; status −1."""
    body = upload(api, needs_verification="false").body
    assert (body["sign_method"], body["sign"], body["status"]) == ("MD5", MD5, "VERIFICATION_NOT_REQUIRED")


def test_the_uploaded_bytes_are_moved_and_not_copied(api: Api) -> None:
    """They arrive on the disk where they stay; nothing is left where they arrived."""
    upload(api)
    assert list((Path(settings.MEDIA_ROOT) / "incoming").iterdir()) == []


def test_a_package_of_several_files_has_no_sign_of_its_own(api: Api) -> None:
    """Each file has one; positions follow the order of the request."""
    body = upload(api, files={"a.bin": b"A", "b.tar.gz": b"BB", "C.ZIP": b"CCC"}).body
    assert [(file["position"], file["name"], file["size_bytes"]) for file in body["files"]] == [
        (1, "a.bin", 1),
        (2, "b.tar.gz", 2),
        (3, "C.ZIP", 3),
    ]
    assert (body["sign"], body["file_count"], body["size_bytes"]) == ("", 3, 6)


@pytest.mark.parametrize("name", ["-a", "_a", "a" * 41, "a b", "näme", "a/b", "ａ"])
def test_a_wrong_package_name_is_named(api: Api, name: str) -> None:
    """1 to 40 characters of the allowed kinds, with the right first one."""
    sentence = (
        "Use 1 to 40 Chinese or Japanese characters, letters, digits, hyphens, underscores and parentheses, "
        "and start with a Chinese or Japanese character, a letter or a digit."
    )
    assert upload(api, name=name).errors() == {"name": [sentence]}


@pytest.mark.parametrize("name", ["a", "9(x)_-", "固件" * 20, "ファーム"])
def test_a_right_package_name_is_taken(api: Api, name: str) -> None:
    """Chinese and Japanese too."""
    assert upload(api, name=name).status == 201


def test_a_package_name_is_unique(api: Api) -> None:
    """In the whole console."""
    upload(api)
    assert upload(api).errors() == {"name": ["Another update package has this name. Choose another name."]}
    assert UpdatePackage.objects.count() == 1


def test_a_delta_package_needs_another_source_version(api: Api) -> None:
    """It can be installed on that version only."""
    missing = upload(api, kind="DELTA").errors()
    assert missing == {
        "source_version": ["Enter the source version. A delta package can be installed on that version only."]
    }
    same = upload(api, kind="DELTA", source_version="1.1").errors()
    assert same == {"source_version": ["The source version must differ from the version."]}
    assert upload(api, kind="DELTA", source_version="1.0").body["source_version"] == "1.0"


def test_all_mistakes_are_told_at_once(api: Api) -> None:
    """By field, under the API's names."""
    errors = upload(
        api,
        product_key="nobody",
        version="1 1",
        source_version="x/y",
        description="d" * 101,
        custom_info="c" * 4097,
        files={"firmware.exe": b"x"},
    ).errors()
    sentence = "Use 1 to 64 letters, digits, and the characters . - _"
    assert errors == {
        "product_key": ["There is no product with this key."],
        "version": [sentence],
        "source_version": [sentence],
        "description": ["Use at most 100 characters."],
        "custom_info": ["Use at most 4096 characters."],
        "files": [f"firmware.exe: Use one of these file types: {', '.join(limits.FILE_TYPES)}."],
    }


def test_an_unknown_module_is_named(api: Api) -> None:
    """Modules belong to the product."""
    assert upload(api, module="radio").errors() == {"module": ["This product has no module of this name."]}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a.bin": b""}, "a.bin: The file is empty."),
        ({".bin": b"x"}, ".bin: Use one of these file types: " + ", ".join(limits.FILE_TYPES) + "."),
        ({"x" * 29 + ".bin": b"x", "b.bin": b"x"}, "x" * 29 + ".bin: Use at most 32 characters for the file name."),
        ({f"{number}.bin": b"x" for number in range(21)}, "Choose at most 20 files."),
    ],
)
def test_files_over_a_limit_are_refused_by_name(api: Api, files: dict[str, bytes], sentence: str) -> None:
    """1 to 20 files, not empty, of known types."""
    assert upload(api, files=files).errors() == {"files": [sentence]}
    assert list((Path(settings.MEDIA_ROOT) / "incoming").iterdir()) == []


def test_two_files_of_one_name_are_refused(api: Api) -> None:
    """Devices are told the names."""
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n' + content + b"\r\n"
        for content in (b"1", b"2")
    )
    fields = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in (("product_key", make_product().product_key), ("name", "fw"), ("version", "1"))
    )
    answer = api.send("POST", "packages/", fields + body + b"--x--\r\n", "multipart/form-data; boundary=x")
    assert answer.errors() == {"files": ["a.bin: Two files have this name."]}


def test_a_file_that_is_too_large_is_dropped_while_it_arrives(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rest is read but not kept, so that the answer can say what is wrong."""
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(uploads, "CHUNK_BYTES", 400)
    monkeypatch.setattr(uploads.PackageUploadHandler, "chunk_size", 400)
    assert upload(api, files={"a.bin": b"x" * 1000}).status == 201
    errors = upload(api, name="other", files={"a.bin": b"x" * 1001}).errors()
    assert errors == {"files": ["a.bin: The file is larger than 1,000 MB."]}


def test_a_request_that_announces_too_much_is_refused_before_it_is_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No package can be that large."""
    monkeypatch.setattr(limits, "MAX_REQUEST_BYTES", 100)
    answer = upload(api)
    assert (answer.status, answer.kind) == (400, "application/problem+json")


def test_no_files_are_no_package(api: Api) -> None:
    """Neither as a form nor as JSON."""
    assert "files" in upload(api, files={}).errors()
    answer = api.post("packages/", product_key=make_product().product_key, name="fw", version="1")
    assert answer.errors() == {"files": ["This field is required."]}


def test_the_500th_package_is_the_last(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vendor reference §1.3; the limit is lowered here."""
    monkeypatch.setattr(limits, "MAX_PACKAGES", 1)
    upload(api)
    answer = upload(api, name="other")
    assert (answer.status, answer.body["code"]) == (409, "too_many_packages")


def test_what_is_said_of_a_package_is_edited_part_by_part(api: Api) -> None:
    """A missing field stays; the rest can never change."""
    package = make_package(make_product(), description="old")
    address = f"packages/{package.public_id}/"
    assert api.patch(address, custom_info="new").body["description"] == "old"
    assert api.patch(address, name="renamed", description="").body["name"] == "renamed"
    assert api.patch(address, version="3.0").errors() == {"version": ["There is no such field."]}
    assert api.patch(address, name="a b", description="d" * 101).errors().keys() == {"name", "description"}
    assert list(AuditEntry.objects.order_by("pk").values_list("details", flat=True)) == [
        {"changed": ["custom_info"]},
        {"changed": ["description", "name"]},
    ]


def test_a_taken_name_cannot_be_edited_in(api: Api) -> None:
    """It stays unique."""
    product = make_product()
    first, second = make_package(product), make_package(product)
    assert list(api.patch(f"packages/{second.public_id}/", name=first.name).errors()) == ["name"]


def test_a_deleted_package_takes_its_files_along(api: Api) -> None:
    """After the commit."""
    public_id = upload(api).body["id"]
    path = Path(PackageFile.objects.get().file.path)
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert api.delete(f"packages/{public_id}/").status == 204
    assert not path.exists()
    assert api.get(f"packages/{public_id}/").body["code"] == "package_unknown"


def test_a_package_that_a_batch_has_used_stays(api: Api) -> None:
    """rules.md §7."""
    package = make_package(make_product())
    make_batch(package)
    answer = api.delete(f"packages/{package.public_id}/")
    assert (answer.status, answer.body["code"]) == (409, "package_in_use")
    assert Path(PackageFile.objects.get().file.path).exists()


def test_a_file_is_downloaded_by_a_link_that_needs_no_token(api: Api) -> None:
    """It leads to the download server and expires."""
    package = make_package(make_product())
    answer = api.get(f"packages/{package.public_id}/files/1/")
    assert answer.status == 302
    assert answer.headers["Location"].startswith(f"{settings.DOWNLOAD_URL}/p/{package.public_id}/1?e=")
    assert api.get(f"packages/{package.public_id}/files/2/").body["code"] == "file_unknown"


def test_packages_are_filtered(api: Api) -> None:
    """By product, module, kind, names of states."""
    product = make_product()
    full = make_package(product)
    delta = make_package(product, kind=1, source_version="1.0", status=UpdatePackage.Status.VERIFIED, version="9.9")
    make_package(make_product())

    def found(**query: Any) -> list[str]:
        return [row["id"] for row in api.get("packages/", **query).body["results"]]

    assert found(product_key=product.product_key) == [delta.public_id, full.public_id]
    assert found(kind="DELTA") == [delta.public_id]
    assert found(status=["VERIFIED", "VERIFYING"]) == [delta.public_id]
    assert found(version="9.9", module="default", name=delta.name) == [delta.public_id]
    assert list(api.get("packages/", status="1").errors()) == ["status"]
    assert list(api.get("packages/", colour="red").errors()) == ["colour"]
