"""Blocks of a file over MQTT: a binary answer with a JSON header and a CRC (vendor reference §4.7). Pure."""

from typing import Final, NamedTuple

import orjson

from devices_app.protocol.payloads import FileDownload

OK: Final = 200


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_TABLE: Final = _table()


def crc16_arc(data: bytes) -> int:
    """CRC-16/ARC: polynomial 0x8005 reflected, start 0, no final xor; 0xBB3D for b"123456789"."""
    crc = 0
    table = _TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


def block_reply(request: FileDownload, file_length: int, data: bytes) -> bytes:
    """Header length (2 bytes, big endian), header, data, CRC of the data (2 bytes, low byte first)."""
    block = {"fileToken": request.file_token, "fileLength": file_length, "bSize": len(data), "bOffset": request.offset}
    header = orjson.dumps({"id": request.id, "code": OK, "message": "success", "data": block})
    return len(header).to_bytes(2, "big") + header + data + crc16_arc(data).to_bytes(2, "little")


class Block(NamedTuple):
    """A block as a device reads it."""

    offset: int
    file_length: int
    data: bytes


def read_block_reply(payload: bytes) -> Block | None:
    """The block in a reply, checked as the vendor's client checks it; None if anything is wrong."""
    header_end = 2 + int.from_bytes(payload[:2], "big")
    try:
        header = orjson.loads(payload[2:header_end])
        block = header["data"]
        offset, size, length = block["bOffset"], block["bSize"], block["fileLength"]
        is_good = header["code"] == OK and len(payload) == header_end + size + 2
    except (ValueError, KeyError, TypeError):
        return None
    data = payload[header_end:-2]
    if not is_good or crc16_arc(data) != int.from_bytes(payload[-2:], "little"):
        return None
    return Block(offset, length, data)
