"""Pages of device updates across statuses and batches.

No index orders a batch across its statuses, so each status is read by a range of the index (batch, status, id) of its
own and the short results are joined: a page costs the same whatever the size of the batch.
"""

from collections.abc import Sequence

from batches_app.domain.states import TaskStatus
from batches_app.sql.fragments import Fragment, all_of, fetch, join


def scan(*, batch_id: int, status: TaskStatus, after: int, rules: Sequence[Fragment], limit: int) -> Fragment:
    """The first tasks of one batch in one status above the key `after` that also meet `rules`."""
    where = all_of([Fragment("batch_id = %s AND status = %s AND id > %s", (batch_id, status, after)), *rules])
    inner = f"SELECT batch_id, id FROM batches_app_task WHERE {where.text} ORDER BY id LIMIT {limit}"
    return Fragment(f"SELECT batch_id, id FROM ({inner}) part", where.values)


def first_of(scans: Sequence[Fragment], *, limit: int) -> list[int]:
    """Keys of the first tasks of all scans: newest batch first, each in order of creation."""
    union = join(" UNION ALL ", scans)
    return [pk for _, pk in fetch(Fragment(f"{union.text} ORDER BY 1 DESC, 2 LIMIT {limit}", union.values))]


def name_contains(part: str) -> Fragment:
    """Part of a device name, with the signs that LIKE knows taken literally."""
    escaped = part.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return Fragment(r"device_name LIKE %s ESCAPE '\'", (f"%{escaped}%",))
