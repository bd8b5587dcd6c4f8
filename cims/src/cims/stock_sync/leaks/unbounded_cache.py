"""A cache keyed by something that never repeats: it can only grow.

Where it happens: somebody remembers replies by request id, so that a page asked for again after
a reconnect is not worked on twice, and the ids are unique.
"""

from collections import OrderedDict

from cims.stock_sync.update import SkuUpdate

MOST_REPLIES = 1000


class ReplyCache:
    """The last replies by request id; the oldest makes room."""

    def __init__(self) -> None:
        self._replies: OrderedDict[str, dict[str, object]] = OrderedDict()

    def handle(self, update: SkuUpdate) -> None:
        """Remember what was answered."""
        self._replies[update.request_id] = {"sku": update.sku, "told": update.raw}
        if len(self._replies) > MOST_REPLIES:
            self._replies.popitem(last=False)


class UnboundedReplyCache:
    """All replies by request id, for ever."""

    def __init__(self) -> None:
        self._replies: dict[str, dict[str, object]] = {}

    def handle(self, update: SkuUpdate) -> None:
        """Remember what was answered."""
        self._replies[update.request_id] = {"sku": update.sku, "told": update.raw}
