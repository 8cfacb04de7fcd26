"""The devices behind a count of a launch's review. Reads only; the review itself is `launch.review_launch`."""

from dataclasses import dataclass
from typing import Final

from batches_app import scope as scopes
from batches_app.commands import launch_rules as rules
from batches_app.commands.launch_request import LaunchRequest
from batches_app.scope import Fate, Out, ScopeDevice

PAGE_SIZE: Final = 100
"""More than a screen, little enough to be drawn at once."""
PARTS: Final[dict[str, Out | Fate]] = {
    "disabled": Out.DISABLED,
    "on_target": Out.ON_TARGET,
    "never_reported": Out.NEVER_REPORTED,
    "wrong_version": Out.WRONG_VERSION,
    "not_chosen": Out.NOT_CHOSEN,
    **{fate.value: fate for fate in Fate},
}
"""The counts that can be opened, by name."""


@dataclass(frozen=True, slots=True)
class ReviewedDevices:
    """Devices in the order of their ids; `after` is the last one's id where more follow, else 0."""

    rows: tuple[ScopeDevice, ...]
    after: int


def list_reviewed(*, request: LaunchRequest, part: str, after: int) -> ReviewedDevices:
    """One page of a count of `PARTS`. Costs what the review costs. Raises as `review_launch` does."""
    scope = rules.scope_of_request(request, rules.find(request))
    found = scopes.list_scope(scope, PARTS[part], after=after, limit=PAGE_SIZE + 1)
    rows = tuple(found[:PAGE_SIZE])
    return ReviewedDevices(rows, rows[-1].id if len(found) > PAGE_SIZE else 0)
