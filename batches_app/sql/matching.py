"""Statements about requests for a match; both dialects side by side."""

from collections.abc import Sequence
from datetime import datetime

from batches_app.sql.fragments import Fragment, execute, fetch, statement
from ota_console.core.rows import row_source


def devices_in(source: Fragment, where: Fragment) -> list[int]:
    """Ids of the devices (`d`) that a bounded scope holds, in order."""
    return [
        row[0]
        for row in fetch(statement("SELECT d.id FROM {source} WHERE {where} ORDER BY d.id", source=source, where=where))
    ]


def delete_requests(done: Sequence[tuple[int, datetime]]) -> int:
    """Delete requests (id, time) that were carried out; one that was renewed meanwhile stays."""
    if not done:
        return 0
    source = row_source((("id", "bigint"), ("at", "timestamptz")), list(zip(*done, strict=True)))
    return execute(
        Fragment(
            f"DELETE FROM batches_app_matchrequest WHERE (id, requested_at) IN (SELECT x.id, x.at FROM {source.text})",
            source.parameters,
        )
    )
