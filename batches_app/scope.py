"""Who is in a batch, who is out, and why: one builder for the dry run, the launch's slices and the matching of devices.

`conditions` lists the rules in order; the launch asks for all of them, the dry run names the first that a device does not
meet. So the review and the launch cannot differ (rules.md §4). Reads only; must not lock or write.
"""

import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple

from batches_app.domain.policy import gray_count
from batches_app.models import Batch
from batches_app.sql import gray
from batches_app.sql.fragments import Fragment, all_of, fetch, join, statement
from devices_app.models import DEFAULT_MODULE, DeviceGroup, Module
from ota_console.core.db import is_postgresql

LAST_ID: Final = 2**62
"""Beyond every device id."""


class Out(IntEnum):
    """Why a device is not in a batch; 0 means that it is in."""

    IN = 0
    DISABLED = 1
    ON_TARGET = 2
    NEVER_REPORTED = 3
    WRONG_VERSION = 4
    NOT_CHOSEN = 5
    BUSY = 6


class Lane(IntEnum):
    """What holds a device's lane (rules.md §7)."""

    FREE = 0
    WAITING = 1
    """An unfinished update that may be overwritten, if the policy says so."""
    UPGRADING = 2
    """An update that may not be overwritten."""


class GroupFilter(NamedTuple):
    """A dynamic group's stored filter; empty parts do not restrict."""

    name_prefix: str = ""
    module_id: int | None = None
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Everything that decides who is in. Made from a batch by `scope_of`, or from a launch that is still being reviewed."""

    product_id: int
    module_id: int
    target_version: str
    source_versions: tuple[str, ...] = ()
    """The device's version must be one of them; empty: any, also an unknown one."""
    device_list_id: int | None = None
    device_names: tuple[str, ...] | None = None
    """Names that have no list yet (dry run)."""
    static_group_id: int | None = None
    group_filter: GroupFilter | None = None
    gray_percent: Decimal | None = None
    gray_seed: str = ""
    gray_ceiling: int | None = None
    busy_policy: int = Batch.BusyPolicy.FAIL
    is_multi_module: bool = False
    is_later_only: bool = False
    """Dynamic mode 2: nobody matches at the launch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeCounts:
    """The dry run: how many devices are in and out, by the first reason. All counts are of devices in the chosen set."""

    device_count: int
    matched_count: int
    online_count: int
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
    def left_out_count(self) -> int:
        """Busy devices that would get no task."""
        is_left_out = self.busy_policy == Batch.BusyPolicy.LEAVE_OUT
        return self.busy_waiting_count + self.busy_upgrading_count if is_left_out else 0


class Window(NamedTuple):
    """Device ids above `after`, up to and with `through`."""

    after: int = 0
    through: int = LAST_ID


class ScopeSql(NamedTuple):
    """A scope as SQL: `FROM source WHERE where`; `d` is the device, `v` its version row or null."""

    source: Fragment
    where: Fragment
    window: Window


def allowed_versions(batch: Batch) -> tuple[str, ...]:
    """Versions a device may be updated from; a delta package fits one only (vendor reference §1.3). Empty: any."""
    if batch.package.kind == batch.package.Kind.DELTA:
        return (batch.package.source_version,)
    return tuple(batch.source_versions)


def group_filter_of(group: DeviceGroup) -> GroupFilter:
    """A dynamic group's filter with its module resolved; a module that does not exist matches nothing."""
    raw = group.filter
    name = raw.get("module", "")
    versions = tuple(raw.get("versions", ()))
    if not name and not versions:
        return GroupFilter(raw.get("name_prefix", ""))
    module = Module.objects.filter(product=group.product_id, name__iexact=name or DEFAULT_MODULE).first()
    return GroupFilter(raw.get("name_prefix", ""), module.pk if module else 0, versions)


def scope_of(batch: Batch) -> Scope:
    """The scope of an existing batch. Expects `package` and `group` to be loaded."""
    is_dynamic = batch.selection == Batch.Selection.DYNAMIC
    group = batch.group
    return Scope(
        product_id=batch.product_id,
        module_id=batch.module_id,
        target_version=batch.target_version,
        source_versions=allowed_versions(batch),
        device_list_id=batch.device_list_id,
        static_group_id=None if group is None or is_dynamic else group.pk,
        group_filter=group_filter_of(group) if group is not None and is_dynamic else None,
        gray_percent=batch.gray_percent,
        gray_seed=batch.public_id,
        gray_ceiling=batch.gray_ceiling,
        busy_policy=batch.busy_policy,
        is_multi_module=batch.is_multi_module,
        is_later_only=is_dynamic and batch.dynamic_mode == 2,
    )


def one_of(column: str, values: tuple[str, ...]) -> Fragment:
    """`column IN (values)`; lists are short (30 versions)."""
    return Fragment(f"{column} IN ({', '.join(['%s'] * len(values))})", values)


def _source(scope: Scope, window: Window) -> Fragment:
    """The window is repeated on every joined table: the planner then reads a slice of each (hot path)."""
    bounds = (window.after, window.through)
    pieces = [
        Fragment(
            "devices_app_device d LEFT JOIN devices_app_moduleversion v "
            "ON v.device_id = d.id AND v.module_id = %s AND v.device_id > %s AND v.device_id <= %s",
            (scope.module_id, *bounds),
        )
    ]
    if scope.device_list_id is not None:
        pieces.append(
            Fragment(
                "JOIN batches_app_devicelistentry e ON e.device_list_id = %s AND e.device_id = d.id "
                "AND e.device_id > %s AND e.device_id <= %s",
                (scope.device_list_id, *bounds),
            )
        )
    if scope.static_group_id is not None:
        pieces.append(
            Fragment(
                "JOIN devices_app_groupmember g ON g.group_id = %s AND g.device_id = d.id "
                "AND g.device_id > %s AND g.device_id <= %s",
                (scope.static_group_id, *bounds),
            )
        )
    return join(" ", pieces)


def _base(scope: Scope, window: Window) -> list[Fragment]:
    """The chosen set, before any rule."""
    found = [
        Fragment("d.product_id = %s AND d.id > %s AND d.id <= %s", (scope.product_id, window.after, window.through))
    ]
    if scope.device_names is not None:
        found.append(one_of("d.name", scope.device_names) if scope.device_names else Fragment("false"))
    if scope.group_filter is not None:
        found += _group_conditions(scope.group_filter)
    return found


def _group_conditions(group: GroupFilter) -> list[Fragment]:
    found = []
    if group.name_prefix:
        found.append(Fragment("substr(d.name, 1, %s) = %s", (len(group.name_prefix), group.name_prefix)))
    if group.module_id is not None:
        versions = one_of("AND f.version", group.versions) if group.versions else Fragment("")
        found.append(
            Fragment(
                "EXISTS (SELECT 1 FROM devices_app_moduleversion f "
                f"WHERE f.device_id = d.id AND f.module_id = %s {versions.text})",
                (group.module_id, *versions.values),
            )
        )
    return found


def conditions(scope: Scope) -> list[tuple[Out, Fragment]]:
    """The rules in the order in which a reason is named. A device is in where all hold."""
    rules = [
        (Out.DISABLED, Fragment("d.is_enabled")),
        (Out.ON_TARGET, Fragment("v.version IS NULL OR v.version <> %s", (scope.target_version,))),
    ]
    if scope.source_versions:
        rules.append((Out.NEVER_REPORTED, Fragment("v.version IS NOT NULL")))
        rules.append((Out.WRONG_VERSION, one_of("v.version", scope.source_versions)))
    if scope.is_later_only:
        rules.append((Out.NOT_CHOSEN, Fragment("false")))
    if scope.gray_ceiling is not None:
        rules.append((Out.NOT_CHOSEN, Fragment(f"{gray.expression(scope.gray_seed)} <= %s", (scope.gray_ceiling,))))
    return rules


def lane_of(scope: Scope, alias: str) -> Fragment:
    """Whether an unfinished task holds the lane that this scope's tasks need (rules.md §7)."""
    if not scope.is_multi_module:
        return Fragment(f"{alias}.status < 4")
    return Fragment(
        f"{alias}.status < 4 AND ({alias}.module_id = %s OR NOT {alias}.is_multi_module)", (scope.module_id,)
    )


def overwritable(scope: Scope, alias: str) -> Fragment:
    """Whether a task that holds the lane gives way to a newer one (rules.md §2, §7; vendor reference §2.6)."""
    if scope.busy_policy == Batch.BusyPolicy.LEAVE_OUT:
        return Fragment("false")
    if scope.is_multi_module:
        return Fragment(f"{alias}.status < 3 AND {alias}.module_id = %s", (scope.module_id,))
    return Fragment(f"{alias}.status < 3" if scope.busy_policy == Batch.BusyPolicy.OVERWRITE else "false")


def members(scope: Scope, window: Window = Window(), *more: Fragment) -> ScopeSql:
    """The devices that are in, within a window of ids, and meeting further conditions."""
    rules = [condition for _, condition in conditions(scope)]
    return ScopeSql(_source(scope, window), all_of([*_base(scope, window), *rules, *more]), window)


def only_devices(ids: list[int]) -> Fragment:
    """A condition for a bounded number of device ids, as one parameter."""
    if is_postgresql():
        return Fragment("d.id = ANY(%s::bigint[])", (ids,))
    return Fragment("d.id IN (SELECT value FROM json_each(%s))", (str(ids),))


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


def count_scope(scope: Scope) -> ScopeCounts:
    """The dry run: one statement, without locks."""
    found = fetch(
        statement(
            "SELECT x.out, x.lane, count(*), sum(x.online), sum(x.mixed) FROM ("
            "SELECT {out} AS out, CASE WHEN o.device_id IS NULL THEN 0 WHEN o.is_stuck = 1 THEN 2 ELSE 1 END AS lane, "
            "CASE WHEN d.is_online THEN 1 ELSE 0 END AS online, {mixed} AS mixed "
            "FROM {source} LEFT JOIN {busy} o ON o.device_id = d.id WHERE {base}) x GROUP BY 1, 2",
            out=_first_out(scope),
            mixed=Fragment(gray.expression("fingerprint")),
            source=_source(scope, Window()),
            busy=_busy(scope),
            base=all_of(_base(scope, Window())),
        )
    )
    return _counted(
        scope, [(Out(o), Lane(lane), int(n), int(online), int(mixed)) for o, lane, n, online, mixed in found]
    )


def _counted(scope: Scope, rows: list[tuple[Out, Lane, int, int, int]]) -> ScopeCounts:
    is_left_out = scope.busy_policy == Batch.BusyPolicy.LEAVE_OUT
    matching = [row for row in rows if row[0] is Out.IN]
    taken = [row for row in matching if not is_left_out or row[1] is Lane.FREE]
    eligible_count = sum(n for _, _, n, _, _ in taken)
    matched_count = eligible_count
    if scope.gray_percent is not None and scope.gray_ceiling is None:
        matched_count = gray_count(eligible_count, scope.gray_percent)

    def out_count(reason: Out) -> int:
        return sum(n for out, _, n, _, _ in rows if out is reason)

    def lane_count(lane: Lane) -> int:
        return sum(n for _, found, n, _, _ in matching if found is lane)

    seen = (eligible_count, matched_count, sum(mixed for *_, mixed in taken), scope.busy_policy)
    return ScopeCounts(
        device_count=sum(n for _, _, n, _, _ in rows),
        matched_count=matched_count,
        online_count=sum(online for _, _, _, online, _ in taken),
        disabled_count=out_count(Out.DISABLED),
        on_target_count=out_count(Out.ON_TARGET),
        never_reported_count=out_count(Out.NEVER_REPORTED),
        wrong_version_count=out_count(Out.WRONG_VERSION),
        not_chosen_count=out_count(Out.NOT_CHOSEN) + eligible_count - matched_count,
        busy_waiting_count=lane_count(Lane.WAITING),
        busy_upgrading_count=lane_count(Lane.UPGRADING),
        busy_policy=scope.busy_policy,
        fingerprint=hashlib.sha256(repr(seen).encode()).hexdigest()[:16],
    )


def has_members(scope: Scope) -> bool:
    """Whether anybody is in; stops at the first. Counts busy devices too, unless they are left out."""
    free = Fragment("true")
    if scope.busy_policy == Batch.BusyPolicy.LEAVE_OUT:
        free = statement(
            "NOT EXISTS (SELECT 1 FROM batches_app_task t WHERE t.device_id = d.id AND {lane})",
            lane=lane_of(scope, "t"),
        )
    found = members(scope, Window(), free)
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
    """The device id that ends a slice of `size` chosen devices above `after`; `through` where fewer are left. One index scan."""
    if scope.device_list_id is not None:
        chosen = Fragment("batches_app_devicelistentry x WHERE x.device_list_id = %s", (scope.device_list_id,))
        column = "x.device_id"
    elif scope.static_group_id is not None:
        chosen = Fragment("devices_app_groupmember x WHERE x.group_id = %s", (scope.static_group_id,))
        column = "x.device_id"
    else:
        chosen = Fragment("devices_app_device x WHERE x.product_id = %s", (scope.product_id,))
        column = "x.id"
    rows = fetch(
        statement(
            f"SELECT {column} FROM {{chosen}} AND {column} > {{after}} AND {column} <= {{through}} "
            f"ORDER BY {column} LIMIT 1 OFFSET {{skip}}",
            chosen=chosen,
            after=Fragment("%s", (after,)),
            through=Fragment("%s", (through,)),
            skip=Fragment("%s", (size - 1,)),
        )
    )
    return int(rows[0][0]) if rows else through
