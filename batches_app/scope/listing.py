"""The devices behind each count of the dry run, a page at a time. Reads only, without locks."""

from typing import NamedTuple

from batches_app.scope.dry_run import judged
from batches_app.scope.fates import Fate, Lane, lanes_of
from batches_app.scope.members import Out, Scope
from batches_app.sql.fragments import Fragment, fetch, statement


class ScopeDevice(NamedTuple):
    """A device behind one of the review's counts."""

    id: int
    name: str
    version: str
    """Empty: never reported."""
    is_online: bool


def list_scope(scope: Scope, part: Out | Fate, *, after: int, limit: int) -> list[ScopeDevice]:
    """The devices that one of the dry run's counts counts, in the order of their ids, beyond `after`.

    One statement, the one that counted. A gray update chooses at the launch: who is chosen cannot be listed before.
    """
    lanes = frozenset(Lane) if isinstance(part, Out) else lanes_of(scope, part)
    found = fetch(
        statement(
            "SELECT x.id, x.name, x.version, x.is_online FROM {judged} x "
            "WHERE x.out = {out} AND {lanes} AND x.id > {after} ORDER BY x.id LIMIT {limit}",
            judged=judged(scope),
            out=Fragment("%s", (int(part) if isinstance(part, Out) else int(Out.IN),)),
            lanes=Fragment(f"x.lane IN ({', '.join(str(int(lane)) for lane in lanes)})" if lanes else "false"),
            after=Fragment("%s", (after,)),
            limit=Fragment("%s", (limit,)),
        )
    )
    return [ScopeDevice(key, name, version or "", bool(is_online)) for key, name, version, is_online in found]
