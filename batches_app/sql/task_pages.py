"""The keys of one page of tasks, across batches and statuses.

No index orders tasks across them, so each pair of a batch and a status is one short range of the index (batch, status,
id), joined by UNION ALL: the cost depends on the page, never on the size of a batch. The same on both databases.
"""

from collections.abc import Sequence

from batches_app.sql.fragments import Fragment, fetch, join

Bound = tuple[str, int]
"""`<` or `>`, and the key that the page lies behind."""


def page_keys(pairs: Sequence[tuple[int, int]], *, bound: Bound | None, is_descending: bool, limit: int) -> list[int]:
    """Keys in order, at most `limit`, of the tasks of any of the pairs (batch, status)."""
    if not pairs:
        return []
    order = f"ORDER BY id {'DESC' if is_descending else 'ASC'} LIMIT {int(limit)}"
    behind = Fragment("") if bound is None else Fragment(f"AND id {bound[0]} %s", (bound[1],))
    union = join(" UNION ALL ", [_scan(batch_id, status, behind, order) for batch_id, status in pairs])
    return [key for (key,) in fetch(Fragment(f"{union.text} {order}", union.values))]


def _scan(batch_id: int, status: int, behind: Fragment, order: str) -> Fragment:
    inner = f"SELECT id FROM batches_app_task WHERE batch_id = %s AND status = %s {behind.text} {order}"
    return Fragment(f"SELECT id FROM ({inner}) part", (batch_id, int(status), *behind.values))
