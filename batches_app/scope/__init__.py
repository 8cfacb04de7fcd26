"""Who is in a batch, who is out, and why: one builder for dry run, launch and matching."""

from batches_app.scope.dry_run import (
    ScopeCounts,
    Since,
    count_scope,
    has_members,
    measure,
    slice_end,
)
from batches_app.scope.fates import Fate
from batches_app.scope.listing import ScopeDevice, list_scope
from batches_app.scope.members import (
    LAST_ID,
    LATER_ONLY,
    Out,
    Scope,
    ScopeSql,
    Window,
    conditions,
    group_filter_of,
    lane_of,
    members,
    only_devices,
    overwritable,
    scope_of,
)

__all__ = [
    "LAST_ID",
    "LATER_ONLY",
    "Fate",
    "Out",
    "Scope",
    "ScopeCounts",
    "ScopeDevice",
    "ScopeSql",
    "Since",
    "Window",
    "conditions",
    "count_scope",
    "group_filter_of",
    "has_members",
    "lane_of",
    "list_scope",
    "measure",
    "members",
    "only_devices",
    "overwritable",
    "scope_of",
    "slice_end",
]
