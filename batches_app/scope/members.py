"""Who is in a batch, who is out, and why: one builder for the dry run, the launch's slices and the matching of devices.

`conditions` lists the rules in order; the launch asks for all of them, the dry run names the first that a device does
not meet. So the review and the launch cannot differ (rules.md §4). Reads only; must not lock or write.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple

from batches_app.models import Batch
from batches_app.sql import gray
from batches_app.sql.fragments import Fragment, all_of, join, statement
from devices_app.models import DEFAULT_MODULE, DeviceGroup, Module
from ota_console.core.db import is_postgresql

LAST_ID: Final = 2**62
"""Beyond every device id."""
LATER_ONLY: Final = 2
"""The dynamic mode that wants only devices which report a new version after the launch (vendor reference §2.3)."""


class Out(IntEnum):
    """Why a device is not in a batch; 0 means that it is in."""

    IN = 0
    DISABLED = 1
    ON_TARGET = 2
    NEVER_REPORTED = 3
    WRONG_VERSION = 4
    NOT_CHOSEN = 5
    BUSY = 6


class GroupFilter(NamedTuple):
    """A dynamic group's stored filter; empty parts do not restrict."""

    name_prefix: str = ""
    module_id: int | None = None
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Everything that decides who is in.

    Made from a batch by `scope_of`, or from a launch that is still being reviewed.
    """

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
        is_later_only=is_dynamic and batch.dynamic_mode == LATER_ONLY,
    )


def one_of(column: str, values: tuple[str, ...]) -> Fragment:
    """`column IN (values)`; lists are short (30 versions)."""
    return Fragment(f"{column} IN ({', '.join(['%s'] * len(values))})", values)


def source(scope: Scope, window: Window) -> Fragment:
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


def base(scope: Scope, window: Window) -> list[Fragment]:
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
        found.append(
            statement(
                "EXISTS (SELECT 1 FROM devices_app_moduleversion f "
                "WHERE f.device_id = d.id AND {module} AND {versions})",
                module=Fragment("f.module_id = %s", (group.module_id,)),
                versions=one_of("f.version", group.versions) if group.versions else Fragment("true"),
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


def members(scope: Scope, window: Window, *more: Fragment) -> ScopeSql:
    """The devices that are in, within a window of ids, and meeting further conditions."""
    rules = [condition for _, condition in conditions(scope)]
    return ScopeSql(source(scope, window), all_of([*base(scope, window), *rules, *more]), window)


def only_devices(ids: list[int]) -> Fragment:
    """A condition for a bounded number of device ids, as one parameter."""
    if is_postgresql():
        return Fragment("d.id = ANY(%s::bigint[])", (ids,))
    return Fragment("d.id IN (SELECT value FROM json_each(%s))", (str(ids),))
