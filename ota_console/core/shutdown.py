"""Whether this worker was asked to end: long-running tasks look at it between two steps, so that a stop need not wait.

One byte in memory that is shared with the processes forked later: Celery tells only their parent. No lock, since a
signal handler sets it.
"""

from multiprocessing import RawValue

_flag = RawValue("b", 0)


def announce() -> None:
    """Called once, by the worker's shutdown hook."""
    _flag.value = 1


def is_announced() -> bool:
    """True from the moment on which the worker was asked to end."""
    return bool(_flag.value)


def reset() -> None:
    """For tests."""
    _flag.value = 0
