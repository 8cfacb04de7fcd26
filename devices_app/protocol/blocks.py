"""Blocks of a file over MQTT: a binary answer with a JSON header and a CRC (vendor reference §4.7). Pure."""

from typing import Final

import orjson

from devices_app.protocol.payloads import FileDownload


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
    header = orjson.dumps({"id": request.id, "code": 200, "message": "success", "data": block})
    return len(header).to_bytes(2, "big") + header + data + crc16_arc(data).to_bytes(2, "little")
