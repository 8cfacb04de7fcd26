"""Whether a running dynamic batch may make a task for a device now, as conditions of SQL (rules.md §7).

A match is a version report (or the first connection of a device that reports none): so a device gets no second task for
the same report, at most ten in all, and none after an operator canceled one.
"""

from dataclasses import replace
from typing import Final

from batches_app import scope as scopes
from batches_app.domain.states import Reason, TaskStatus
from batches_app.models import Batch
from batches_app.scope import Scope
from batches_app.sql.fragments import Fragment, statement
from ota_console.core.db import is_postgresql, time_text

MAX_MATCHES: Final = 10
"""Tasks of one device in one dynamic batch (vendor reference §2.3)."""


def scope_for_match(batch: Batch) -> Scope:
    """The batch's scope for devices that report later. Expects `package` and `group` to be loaded."""
    return replace(scopes.scope_of(batch), is_later_only=False)


def is_wanted(batch: Batch) -> list[Fragment]:
    """Beyond the scope: dynamic mode 2 wants only versions that were reported after the launch."""
    if batch.dynamic_mode != scopes.LATER_ONLY:
        return []
    moment = "%s::timestamptz" if is_postgresql() else "%s"
    return [Fragment(f"v.reported_at > {moment}", (time_text(batch.created_at),))]


def conditions(batch: Batch) -> list[Fragment]:
    """`is_wanted`, and not matched for this report, nor too often, nor canceled by an operator."""
    by_operator = f"{Reason.CANCELED_BY_OPERATOR:d}, {Reason.BATCH_CANCELED:d}"
    own = "FROM batches_app_task m WHERE m.batch_id = %s AND m.device_id = d.id"
    return [
        *is_wanted(batch),
        Fragment(
            f"NOT EXISTS (SELECT 1 {own} AND (v.reported_at IS NULL OR m.created_at >= v.reported_at "
            f"OR (m.status = {TaskStatus.CANCELED:d} AND m.reason IN ({by_operator}))))",
            (batch.pk,),
        ),
        Fragment(f"(SELECT count(*) {own}) < {MAX_MATCHES:d}", (batch.pk,)),
    ]


def next_match_no(batch: Batch) -> Fragment:
    """The number of the match that is being made."""
    return Fragment(
        "(SELECT coalesce(max(n.match_no), 0) + 1 FROM batches_app_task n WHERE n.batch_id = %s AND n.device_id = "
        "d.id)",
        (batch.pk,),
    )


def lane_is_free(scope: Scope) -> Fragment:
    """Nothing holds the device's lane that would not give way."""
    return statement(
        "NOT EXISTS (SELECT 1 FROM batches_app_task o WHERE o.device_id = d.id AND {lane} AND NOT ({gives_way}))",
        lane=scopes.lane_of(scope, "o"),
        gives_way=scopes.overwritable(scope, "o"),
    )
