"""Python's search for reference cycles, set for processes that handle rows by the thousand.

Rows are freed by their reference counts. The default search runs after every 700 new objects and, now and then, walks
everything that Django loaded: that took a third of the gateway's time. Must not turn the search off: libraries make
cycles.
"""

import gc
from typing import Final

NEW_OBJECTS: Final = 100_000
"""More than a micro-batch or a chunk of pushes keeps alive at a time."""
ROUNDS: Final = 10
"""Searches of the youngest objects before the next older generation is searched too: Python's default."""


def search_rarely() -> None:
    """Call once, when the process has loaded its code: what is there now is never searched again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, ROUNDS, ROUNDS)
