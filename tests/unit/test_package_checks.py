"""The limits of an update package, in words (vendor reference §1.3)."""

import re
from hashlib import md5, sha256

import pytest
from django.core.files.base import ContentFile
from hypothesis import given
from hypothesis import strategies as st

from packages_app import limits
from packages_app.commands.checks import (
    check_custom_info,
    check_description,
    check_files,
    check_name,
    check_versions,
    is_known_type,
)
from packages_app.digests import DigestBuilder, Digests
from packages_app.models import UpdatePackage
from packages_app.uploads import ReceivedFile, UploadProblem

FULL, DELTA = UpdatePackage.Kind.FULL, UpdatePackage.Kind.DELTA
FIRST = "A-Za-z0-9\u3040-\u30ff\u3400-\u9fff"
NAME = re.compile(rf"[{FIRST}][{FIRST}_()-]{{0,39}}", re.ASCII)
VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def received(name: str, size: int = 1, problem: UploadProblem | None = None) -> ReceivedFile:
    return ReceivedFile(name, Digests(size, "", ""), ContentFile(b""), problem)


@given(st.text(max_size=50) | st.text(alphabet="aZ9水ア-_() \n", max_size=45))
def test_a_name_is_right_or_wrong_as_the_rule_says(name: str) -> None:
    """Chinese, Japanese, letters, digits, - _ ( ); at most 40; the first is no sign."""
    assert (check_name(name) == []) is bool(NAME.fullmatch(name))


@given(st.text(max_size=70) | st.from_regex(VERSION, fullmatch=True))
def test_a_version_is_right_or_wrong_as_the_rule_says(version: str) -> None:
    """Letters, digits, . - _; at most 64."""
    assert (check_versions(FULL, version, "")["version"] == []) is bool(VERSION.fullmatch(version))


@given(st.from_regex(VERSION, fullmatch=True), st.from_regex(VERSION, fullmatch=True))
def test_a_source_version_differs_from_the_version(version: str, source: str) -> None:
    """For both kinds, where one is given."""
    for kind in (FULL, DELTA):
        assert (check_versions(kind, version, source)["source_version"] == []) is (version != source)


def test_only_a_delta_package_needs_a_source_version() -> None:
    """A full one may go without."""
    assert check_versions(FULL, "1", "")["source_version"] == []
    assert len(check_versions(DELTA, "1", "")["source_version"]) == 1


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=110))
def test_a_description_has_at_most_100_characters(text: str) -> None:
    """A Chinese character counts 1."""
    assert (check_description(text) == []) is (len(text) <= 100)


@pytest.mark.parametrize(
    ("text", "is_right"), [("水" * 4096, True), ("x" * 4097, False), ("a\0", False), ("\ud800", False)]
)
def test_custom_information_has_at_most_4096_characters(text: str, *, is_right: bool) -> None:
    """Of any kind that a database keeps."""
    assert (check_custom_info(text) == []) is is_right


@pytest.mark.parametrize("suffix", limits.FILE_TYPES)
def test_each_accepted_type_is_known(suffix: str) -> None:
    """In either case, and only behind a name."""
    assert is_known_type(f"firmware{suffix}")
    assert is_known_type(f"FIRMWARE{suffix.upper()}")


@pytest.mark.parametrize(
    "name", ["", "bin", ".bin", "firmware", "firmware.exe", "firmware.xz", "firmware.bin.exe", "a.7z"]
)
def test_other_types_are_not_known(name: str) -> None:
    """`.xz` alone is none of them."""
    assert not is_known_type(name)


def test_a_file_of_exactly_1000_megabytes_is_taken() -> None:
    """One byte more is not."""
    assert check_files([received("a.bin", limits.MAX_FILE_BYTES)]) == []
    too_large = ["a.bin: The file is larger than 1,000 MB."]
    assert check_files([received("a.bin", limits.MAX_FILE_BYTES + 1)]) == too_large
    assert check_files([received("a.bin", 5, UploadProblem.TOO_LARGE)]) == too_large


@pytest.mark.parametrize(("count", "is_right"), [(0, False), (1, True), (20, True), (21, False)])
def test_a_package_has_1_to_20_files(count: int, *, is_right: bool) -> None:
    """No more, no less."""
    assert (check_files([received(f"{number}.bin") for number in range(count)]) == []) is is_right


def test_names_are_longer_where_there_is_one_file() -> None:
    """255 characters alone, 32 beside others."""
    assert check_files([received("x" * 251 + ".bin")]) == []
    assert check_files([received("x" * 252 + ".bin")]) != []
    assert check_files([received("x" * 28 + ".bin"), received("b.bin")]) == []
    assert check_files([received("x" * 29 + ".bin"), received("b.bin")]) != []


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_digests_do_not_depend_on_the_chunks(chunks: list[bytes]) -> None:
    """Size, MD5 and SHA-256 of all of them together."""
    builder = DigestBuilder()
    for chunk in chunks:
        builder.feed(chunk)
    whole = b"".join(chunks)
    expected = (len(whole), md5(whole, usedforsecurity=False).hexdigest(), sha256(whole).hexdigest())
    result = builder.result()
    assert (result.size_bytes, result.md5, result.sha256) == expected
