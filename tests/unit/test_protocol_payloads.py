"""What devices are told, byte by byte, as unmodified vendor clients need it."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices_app.protocol.blocks import Block, block_reply, crc16_arc, read_block_reply
from devices_app.protocol.payloads import (
    FileDownload,
    Notice,
    NoticeFile,
    empty_get_reply,
    get_reply,
    push,
    register_reply,
)

MD5, SHA = "93230c3bde425a9d7984a594ac55ea1e", "a" * 64
FILE = NoticeFile("app.bin", 432945, "https://ota.example.net/d/x?e=1&s=y", MD5, SHA)


def test_a_single_file_is_told_with_url_size_and_sign() -> None:
    """Full package of the default module: no `files`, no `isDiff`, no `module`, no `extData`, no white space."""
    assert push(Notice("2.0.0", "MD5", (FILE,)), 1626969597470) == (
        b'{"code":"1000","data":{"size":432945,"version":"2.0.0","url":"https://ota.example.net/d/x?e=1&s=y",'
        b'"md5":"93230c3bde425a9d7984a594ac55ea1e","sign":"93230c3bde425a9d7984a594ac55ea1e","signMethod":"Md5"},'
        b'"id":1626969597470,"message":"success"}'
    )


def test_a_sha256_package_carries_the_md5_as_well() -> None:
    """The C SDK 3.x reads nothing but an `md5` key."""
    data = orjson.loads(push(Notice("2.0.0", "SHA256", (FILE,)), 1))["data"]
    assert (data["md5"], data["sign"], data["signMethod"]) == (MD5, SHA, "SHA256")


def test_optional_fields_stand_behind_what_they_could_shadow() -> None:
    """The C SDK's parser takes the first match in the text: tags come after version, url, size and sign."""
    notice = Notice("2", "MD5", (FILE,), "MCU", True, {"size": "x", "version": "y"}, '{"note":"é"}', "dd")
    data = orjson.loads(push(notice, 1))["data"]
    assert list(data) == [
        "size",
        "version",
        "url",
        "md5",
        "sign",
        "signMethod",
        "isDiff",
        "module",
        "digestsign",
        "extData",
    ]
    assert data["isDiff"] == 1
    assert data["extData"] == {"size": "x", "version": "y", "_package_udi": '{"note":"é"}'}


def test_a_tag_named_module_is_not_taken_for_the_module() -> None:
    """Then even the default module is spelled out, before the tag."""
    data = orjson.loads(push(Notice("2", "MD5", (FILE,), tags={"module": "x"}), 1))["data"]
    assert data["module"] == "default"


def test_several_files_are_told_as_a_list_that_comes_last() -> None:
    """No url, size or sign beside it."""
    second = NoticeFile("b.bin", 7, "https://h/b", "", SHA)
    data = orjson.loads(push(Notice("2", "SHA256", (FILE, second), tags={"k": "v"}), 1))["data"]
    assert list(data) == ["version", "signMethod", "extData", "files"]
    assert data["files"] == [
        {"fileSize": 432945, "fileName": "app.bin", "fileUrl": FILE.url, "fileMd5": MD5, "fileSign": SHA},
        {"fileSize": 7, "fileName": "b.bin", "fileUrl": "https://h/b", "fileSign": SHA},
    ]


def test_a_download_over_mqtt_is_told_by_stream_numbers() -> None:
    """Numbers instead of a url."""
    data = orjson.loads(push(Notice("3", "MD5", (FILE,), stream_id=27367), 1))["data"]
    assert "url" not in data
    assert (data["streamId"], data["streamFileId"], data["dProtocol"]) == (27367, 1, "mqtt")


@pytest.mark.parametrize("message_id", [7, "123"])
def test_the_answer_to_a_pull_repeats_the_id(message_id: int | str) -> None:
    """`code` is the number 200 here, and the data object is the push's."""
    notice = Notice("2", "MD5", (FILE,))
    reply = orjson.loads(get_reply(notice, message_id))
    assert (reply["id"], reply["code"], reply["message"]) == (message_id, 200, "success")
    assert reply["data"] == orjson.loads(push(notice, 1))["data"]


def test_a_pull_without_an_update_is_answered_with_empty_data() -> None:
    """Clients ignore it."""
    assert empty_get_reply("9") == b'{"id":"9","code":200,"message":"success","data":{}}'


def test_a_registration_is_answered_with_the_three_names() -> None:
    """interop.md 8."""
    assert register_reply("pk", "dn", "s") == b'{"productKey":"pk","deviceName":"dn","deviceSecret":"s"}'


def test_the_crc_is_crc_16_arc() -> None:
    """Its published check value."""
    assert crc16_arc(b"123456789") == 0xBB3D


def test_a_block_reply_has_header_length_big_endian_and_crc_low_byte_first() -> None:
    """Vendor reference §4.7."""
    request = FileDownload("pk", "dn", "1", 5, 1, 0, 9, "default")
    header = (
        b'{"id":"1","code":200,"message":"success",'
        b'"data":{"fileToken":"default","fileLength":84,"bSize":9,"bOffset":0}}'
    )
    assert block_reply(request, 84, b"123456789") == b"\x00" + bytes([len(header)]) + header + b"123456789\x3d\xbb"


@given(st.binary(max_size=300), st.integers(0, 2**40))
def test_a_block_reply_is_read_as_it_was_written(data: bytes, offset: int) -> None:
    """By the simulated devices."""
    request = FileDownload("pk", "dn", "1", 5, 1, offset, len(data), "default")
    assert read_block_reply(block_reply(request, 2**40, data)) == Block(offset, 2**40, data)


@given(st.binary(max_size=80))
def test_whatever_is_no_block_reply_is_none(payload: bytes) -> None:
    """And does not raise; nor does a header without the right parts, or a cut block."""
    assert read_block_reply(payload) is None
    good = block_reply(FileDownload("pk", "dn", "1", 5, 1, 0, 3, "default"), 3, b"abc")
    assert read_block_reply(good[:-1]) is None
    assert read_block_reply(b"\x00\x02{}" + payload) is None


def test_a_file_of_unknown_md5_is_told_without_one() -> None:
    """Only its sign is."""
    data = orjson.loads(push(Notice("2", "SHA256", (NoticeFile("a", 1, "u", "", SHA),)), 1))["data"]
    assert "md5" not in data
    assert data["sign"] == SHA


@given(st.binary(max_size=64), st.integers(0, 255))
def test_one_wrong_byte_changes_the_crc(data: bytes, flip: int) -> None:
    """What the client relies on."""
    wrong = bytes([flip]) + data[1:]
    assert (crc16_arc(wrong) == crc16_arc(data)) == (wrong == data) or not data
