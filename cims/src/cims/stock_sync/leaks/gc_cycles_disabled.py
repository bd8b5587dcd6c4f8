"""Objects that point at each other, in a process whose collector is off: nobody frees them.

Where it happens: the collector's pauses showed up in a latency graph, and it was turned off.
"""

import gc

from cims.stock_sync.update import SkuUpdate


class Node:
    """An element of a parsed note that knows its parent, as document trees do."""

    def __init__(self, parent: "Node | None", text: bytes) -> None:
        self.parent = parent
        self.text = text
        self.children: list[Node] = []
        if parent is not None:
            parent.children.append(self)


class Parsing:
    """Parses notes; Python's collector frees the trees."""

    def handle(self, update: SkuUpdate) -> None:
        """Make the tree, look at it, drop it."""
        root = Node(None, update.raw)
        Node(root, update.raw[:16])


class ParsingWithoutCollector(Parsing):
    """Parses notes, after the collector was turned off for the latency's sake."""

    def __init__(self) -> None:
        gc.disable()
