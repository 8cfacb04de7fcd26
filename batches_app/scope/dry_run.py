"""The dry run of a launch: how many devices are in, how many are out by reason, and what would happen to busy ones.

Asks the conditions of `members`, like the launch does. Reads only, without locks.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from batches_app.domain.policy import gray_count
from batches_app.models import Batch
from batches_app.scope.fates import Fate, Lane, busy_policy_of, lanes_of
from batches_app.scope.members import (
    Out,
    Scope,
    Window,
    base,
    conditions,
    lane_of,
    members,
    overwritable,
    source,
)
from batches_app.sql import gray
from batches_app.sql.fragments import Fragment, all_of, fetch, join, statement

EVERYWHERE: Final = Window()
_MOST_DIGITS: Final = 9


class Since(Enum):
    """What differs from what was reviewed."""

    NOTHING = "nothing"
    OTHER_DEVICES = "other devices"
    MORE_BUSY = "more busy devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeCounts:
    """The dry run: how many devices are in and out, by the first reason.

    All counts are of devices in the chosen set.
    """

    device_count: int
    eligible_count: int
    """Devices that no reason leaves out; a gray update takes a share of them."""
    matched_count: int
    """Devices that would get a task; those of `conflict_count` would get one that fails at once."""
    online_count: int
    """Of those that would be updated; a gray update still chooses its share of them."""
    disabled_count: int
    on_target_count: int
    never_reported_count: int
    wrong_version_count: int
    not_chosen_count: int
    """GRAY: matching devices that are not among the chosen share."""
    busy_waiting_count: int
    """Matching devices whose lane an update holds that is not yet Upgrading: fail, are overwritten, or are left out."""
    busy_upgrading_count: int
    """Matching devices that are Upgrading: fail, or are left out."""
    busy_policy: int
    fingerprint: str
    """Of who matches, and behind a hyphen how many of them are busy: what a review says to its launch."""

    @property
    def busy_count(self) -> int:
        """Devices whose task would fail at once or cancel another one: what may not grow after a review."""
        return self.conflict_count + self.overwritten_count

    def since(self, fingerprint: str) -> Since:
        """What has changed since a review with this fingerprint.

        A busy device that becomes free, or begins to upgrade, changes nothing: else a busy fleet would ask for ever.
        """
        who, _, busy = fingerprint.partition("-")
        if who != self.fingerprint.partition("-")[0] or not busy.isdecimal() or len(busy) > _MOST_DIGITS:
            return Since.OTHER_DEVICES
        return Since.MORE_BUSY if self.busy_count > int(busy) else Since.NOTHING

    @property
    def conflict_count(self) -> int:
        """Devices whose task would fail at once (seed)."""
        if self.busy_policy == Batch.BusyPolicy.LEAVE_OUT:
            return 0
        waiting = 0 if self.busy_policy == Batch.BusyPolicy.OVERWRITE else self.busy_waiting_count
        return waiting + self.busy_upgrading_count

    @property
    def overwritten_count(self) -> int:
        """Devices whose older update would be canceled."""
        return self.busy_waiting_count if self.busy_policy == Batch.BusyPolicy.OVERWRITE else 0

    @property
    def updated_count(self) -> int:
        """Devices that would be updated: at most so many where a gray update has still to choose."""
        return min(self.matched_count, self.eligible_count - self.conflict_count)

    @property
    def least_updated_count(self) -> int:
        """As `updated_count`, if a gray update happened to choose every device that would fail at once."""
        return max(0, self.matched_count - self.conflict_count)

    @property
    def failing_count(self) -> int:
        """How many of those that get a task would fail at once: at most so many where a gray update has to choose."""
        return self.matched_count - self.least_updated_count

    @property
    def least_failing_count(self) -> int:
        """As `failing_count`, if a gray update chose as few of them as it can."""
        return self.matched_count - self.updated_count

    @property
    def left_out_count(self) -> int:
        """Busy devices that would get no task."""
        is_left_out = self.busy_policy == Batch.BusyPolicy.LEAVE_OUT
        return self.busy_waiting_count + self.busy_upgrading_count if is_left_out else 0


def _first_out(scope: Scope) -> Fragment:
    cases = [Fragment(f"WHEN ({rule.text}) IS NOT TRUE THEN {out:d}", rule.values) for out, rule in conditions(scope)]
    return statement("CASE {cases} ELSE 0 END", cases=join(" ", cases))


def _busy(scope: Scope) -> Fragment:
    """Devices with a held lane; `is_stuck` where nothing could be overwritten whatever the policy."""
    waits = overwritable(replace(scope, busy_policy=Batch.BusyPolicy.OVERWRITE), "t")
    return statement(
        "(SELECT t.device_id, max(CASE WHEN {waits} THEN 0 ELSE 1 END) AS is_stuck FROM batches_app_task t "
        "WHERE {lane} GROUP BY t.device_id)",
        waits=waits,
        lane=lane_of(scope, "t"),
    )


def judged(scope: Scope) -> Fragment:
    """Each device of the chosen set with the first reason that leaves it out and what holds its lane."""
    return statement(
        "(SELECT d.id, d.name, v.version, d.is_online, {out} AS out, "
        "CASE WHEN o.device_id IS NULL THEN 0 WHEN o.is_stuck = 1 THEN 2 ELSE 1 END AS lane, {mixed} AS mixed "
        "FROM {source} LEFT JOIN {busy} o ON o.device_id = d.id WHERE {base})",
        out=_first_out(scope),
        mixed=Fragment(gray.expression("fingerprint")),
        source=source(scope, EVERYWHERE),
        busy=_busy(scope),
        base=all_of(base(scope, EVERYWHERE)),
    )


def count_scope(scope: Scope) -> ScopeCounts:
    """The dry run: one statement, without locks."""
    found = fetch(
        statement(
            "SELECT x.out, x.lane, count(*), sum(CASE WHEN x.is_online THEN 1 ELSE 0 END), sum(x.mixed) "
            "FROM {judged} x GROUP BY 1, 2",
            judged=judged(scope),
        )
    )
    return _counted(
        scope, [(Out(o), Lane(lane), int(n), int(online), int(mixed)) for o, lane, n, online, mixed in found]
    )


def _counted(scope: Scope, rows: list[tuple[Out, Lane, int, int, int]]) -> ScopeCounts:
    matching = [row for row in rows if row[0] is Out.IN]
    taken = [row for row in matching if row[1] not in lanes_of(scope, Fate.LEFT_OUT)]
    eligible_count = sum(n for _, _, n, _, _ in taken)
    matched_count = eligible_count
    if scope.gray_percent is not None and scope.gray_ceiling is None:
        matched_count = gray_count(eligible_count, scope.gray_percent)

    def out_count(reason: Out) -> int:
        return sum(n for out, _, n, _, _ in rows if out is reason)

    def lane_count(lane: Lane) -> int:
        return sum(n for _, found, n, _, _ in matching if found is lane)

    seen = (eligible_count, matched_count, sum(mixed for *_, mixed in taken), int(scope.busy_policy))
    counts = ScopeCounts(
        device_count=sum(n for _, _, n, _, _ in rows),
        eligible_count=eligible_count,
        matched_count=matched_count,
        online_count=sum(online for _, lane, _, online, _ in taken if lane not in lanes_of(scope, Fate.CONFLICT)),
        disabled_count=out_count(Out.DISABLED),
        on_target_count=out_count(Out.ON_TARGET),
        never_reported_count=out_count(Out.NEVER_REPORTED),
        wrong_version_count=out_count(Out.WRONG_VERSION),
        not_chosen_count=out_count(Out.NOT_CHOSEN) + eligible_count - matched_count,
        busy_waiting_count=lane_count(Lane.WAITING),
        busy_upgrading_count=lane_count(Lane.UPGRADING),
        busy_policy=busy_policy_of(scope),
        fingerprint=hashlib.sha256(repr(seen).encode()).hexdigest()[:16],
    )
    return replace(counts, fingerprint=f"{counts.fingerprint}-{counts.busy_count}")


def has_members(scope: Scope) -> bool:
    """Whether anybody is in; stops at the first. Counts busy devices too, unless they are left out."""
    free = Fragment("true")
    if scope.busy_policy == Batch.BusyPolicy.LEAVE_OUT:
        free = statement(
            "NOT EXISTS (SELECT 1 FROM batches_app_task t WHERE t.device_id = d.id AND {lane})",
            lane=lane_of(scope, "t"),
        )
    found = members(scope, EVERYWHERE, free)
    return bool(
        fetch(statement("SELECT 1 FROM {source} WHERE {where} LIMIT 1", source=found.source, where=found.where))
    )


class Size(NamedTuple):
    """How many devices a launch is for, and the largest hash that is in where it is a gray update."""

    device_count: int
    gray_ceiling: int | None = None


def measure(scope: Scope, window: Window) -> Size:
    """Count the devices that match now. GRAY: fix the hash below which exactly the asked share lies; −1: nobody."""
    found = members(replace(scope, gray_ceiling=None), window)
    counted = fetch(statement("SELECT count(*) FROM {source} WHERE {where}", source=found.source, where=found.where))
    eligible_count = int(counted[0][0])
    if scope.gray_percent is None:
        return Size(eligible_count)
    wanted = gray_count(eligible_count, scope.gray_percent)
    if not wanted:
        return Size(0, -1)
    ranked = fetch(
        statement(
            "SELECT {hash} AS rank FROM {source} WHERE {where} ORDER BY 1 LIMIT 1 OFFSET {skip}",
            hash=Fragment(gray.expression(scope.gray_seed)),
            source=found.source,
            where=found.where,
            skip=Fragment("%s", (wanted - 1,)),
        )
    )
    return Size(wanted, int(ranked[0][0]))


def slice_end(scope: Scope, *, after: int, through: int, size: int) -> int:
    """The device id that ends a slice of `size` chosen devices above `after`; `through` where fewer are left.

    One index scan.
    """
    column = Fragment("x.device_id")
    if scope.device_list_id is not None:
        chosen = Fragment("batches_app_devicelistentry x WHERE x.device_list_id = %s", (scope.device_list_id,))
    elif scope.static_group_id is not None:
        chosen = Fragment("devices_app_groupmember x WHERE x.group_id = %s", (scope.static_group_id,))
    else:
        chosen = Fragment("devices_app_device x WHERE x.product_id = %s", (scope.product_id,))
        column = Fragment("x.id")
    rows = fetch(
        statement(
            "SELECT {id} FROM {chosen} AND {id} > {after} AND {id} <= {through} ORDER BY {id} LIMIT 1 OFFSET {skip}",
            id=column,
            chosen=chosen,
            after=Fragment("%s", (after,)),
            through=Fragment("%s", (through,)),
            skip=Fragment("%s", (size - 1,)),
        )
    )
    return int(rows[0][0]) if rows else through
