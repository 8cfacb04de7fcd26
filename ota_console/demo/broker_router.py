"""Which clients a topic reaches: a tree of filter levels. Pure; knows neither rights nor connections."""

from collections.abc import Iterator
from dataclasses import dataclass, field


def is_filter(text: str) -> bool:
    """A well-formed topic filter: wildcards alone on their level, `#` only at the end (MQTT 3.1.1 §4.7.1)."""
    levels = text.split("/")
    if not text or "\0" in text:
        return False
    return all(level in ("+", "#") or not ("+" in level or "#" in level) for level in levels) and "#" not in levels[:-1]


@dataclass(slots=True)
class _Node:
    children: dict[str, "_Node"] = field(default_factory=dict)
    clients: dict[str, int] = field(default_factory=dict)


class Router:
    """Subscriptions by client key, with the QoS that each was granted."""

    def __init__(self) -> None:
        self._root = _Node()
        self._filters: dict[str, set[str]] = {}

    def subscribe(self, client: str, filter_: str, qos: int) -> None:
        """Add or replace one subscription; `filter_` must be well-formed."""
        node = self._root
        for level in filter_.split("/"):
            node = node.children.setdefault(level, _Node())
        node.clients[client] = qos
        self._filters.setdefault(client, set()).add(filter_)

    def unsubscribe(self, client: str, filter_: str) -> None:
        """Remove one subscription, if it is there."""
        self._filters.get(client, set()).discard(filter_)
        path = [self._root]
        levels = filter_.split("/")
        for level in levels:
            if level not in path[-1].children:
                return
            path.append(path[-1].children[level])
        path[-1].clients.pop(client, None)
        for parent, level, node in zip(reversed(path[:-1]), reversed(levels), reversed(path[1:]), strict=True):
            if node.clients or node.children:
                break
            del parent.children[level]

    def forget(self, client: str) -> None:
        """Remove all subscriptions of a client."""
        for filter_ in list(self._filters.get(client, ())):
            self.unsubscribe(client, filter_)
        self._filters.pop(client, None)

    def filter_count(self, client: str) -> int:
        """How many subscriptions a client holds."""
        return len(self._filters.get(client, ()))

    def route(self, topic: str) -> dict[str, int]:
        """The clients that `topic` reaches; of overlapping subscriptions the highest QoS counts."""
        found: dict[str, int] = {}
        for node in _matching(self._root, topic.split("/"), 0):
            for client, qos in node.clients.items():
                found[client] = max(qos, found.get(client, 0))
        return found


def _matching(node: _Node, levels: list[str], depth: int) -> Iterator[_Node]:
    rest = node.children.get("#")
    if rest is not None:
        yield rest
    if depth == len(levels):
        yield node
        return
    for level in (levels[depth], "+"):
        child = node.children.get(level)
        if child is not None:
            yield from _matching(child, levels, depth + 1)
