"""What a launch does with a device whose lane an unfinished update holds (rules.md §2, §7; vendor reference §2.6)."""

from enum import Enum, IntEnum

from batches_app.models import Batch
from batches_app.scope.members import Scope


class Lane(IntEnum):
    """What holds a device's lane (rules.md §7)."""

    FREE = 0
    WAITING = 1
    """An unfinished update that may be overwritten, if the policy says so."""
    UPGRADING = 2
    """An update that may not be overwritten."""


class Fate(Enum):
    """What a launch would do with a device that no reason leaves out."""

    UPDATED = "updated"
    CONFLICT = "conflict"
    OVERWRITTEN = "overwritten"
    LEFT_OUT = "left_out"


def busy_policy_of(scope: Scope) -> int:
    """In multi-module mode the newer update of the same module overwrites the older by itself (rules.md §7)."""
    is_default = scope.busy_policy == Batch.BusyPolicy.FAIL
    return Batch.BusyPolicy.OVERWRITE if scope.is_multi_module and is_default else scope.busy_policy


def lanes_of(scope: Scope, fate: Fate) -> frozenset[Lane]:
    """The lanes whose devices meet this fate."""
    busy = {
        Batch.BusyPolicy.FAIL: {Fate.CONFLICT: {Lane.WAITING, Lane.UPGRADING}},
        Batch.BusyPolicy.OVERWRITE: {Fate.CONFLICT: {Lane.UPGRADING}, Fate.OVERWRITTEN: {Lane.WAITING}},
        Batch.BusyPolicy.LEAVE_OUT: {Fate.LEFT_OUT: {Lane.WAITING, Lane.UPGRADING}},
    }[Batch.BusyPolicy(busy_policy_of(scope))]
    if fate is not Fate.UPDATED:
        return frozenset(busy.get(fate, ()))
    return frozenset({Lane.FREE} | busy.get(Fate.OVERWRITTEN, set()))
