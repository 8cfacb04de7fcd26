"""Whether a download link still lives: the port that the download server asks (rules.md §5)."""

from batches_app.domain.states import is_unfinished
from batches_app.models import Task


def package_of_live_task(task: str) -> int | None:
    """The key of the package that the task with this public id may download, None once it has ended. One query.

    A task that is being canceled counts as ended, whichever slice has reached it (rules.md §3). A disabled device may
    download nothing.
    """
    columns = ("status", "batch__cancel_mask", "batch__package_id", "device__is_enabled")
    row = Task.objects.filter(public_id=task).values_list(*columns).first()
    if row is None:
        return None
    status, cancel_mask, package_id, is_enabled = row
    return package_id if is_enabled and is_unfinished(status) and not cancel_mask >> status & 1 else None
