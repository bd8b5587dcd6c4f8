"""The kinds that LEAK knows: which part each replaces, and how much an update costs then."""

from collections.abc import Callable
from dataclasses import dataclass

from cims.stock_sync.leaks import (
    asyncio_task_unfinished,
    gc_cycles_disabled,
    listener_registry,
    logger_per_request,
    lru_cache_method,
    malformed_rows,
    metric_labels,
    missing_decref,
    native_malloc,
    page_cache,
    thread_local,
    traceback_kept,
    unbounded_cache,
    warmup_cache,
)
from cims.stock_sync.leaks.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One part of the service, as it should be and with its mistake.

    `bytes_per_update` is what the process grows by for each update with a note of `NOTE_BYTES`,
    measured; 0.0 for what does not grow for ever. `holder` is what a heap tool must name;
    `gc_visible` says whether Python's collector knows the objects at all.
    A negative has no mistake: it looks like one, and must not raise an alarm.
    """

    name: str
    says: str
    holder: str
    bytes_per_update: float
    fixed: Callable[[], Step] | None = None
    broken: Callable[[], Step] | None = None
    gc_visible: bool = True
    negative: bool = False


NOTE_BYTES = 1000
"""The size of a note in the feeds made here; the figures below hold for it."""

KINDS = (
    Kind(
        name="unbounded_cache",
        says="replies are cached by request id, without a limit",
        holder="dict UnboundedReplyCache._replies",
        bytes_per_update=1420.0,
        fixed=unbounded_cache.ReplyCache,
        broken=unbounded_cache.UnboundedReplyCache,
    ),
    Kind(
        name="listener_registry",
        says="a bound method stays in a list of listeners",
        holder="list Reconnects.listeners -> method -> Subscription",
        bytes_per_update=1580.0,
        fixed=listener_registry.Listening,
        broken=listener_registry.ListeningForEver,
    ),
    Kind(
        name="lru_cache_method",
        says="functools.lru_cache without a limit on a method keeps each `self`",
        holder="_lru_cache_wrapper Conversion.pieces -> Conversion",
        bytes_per_update=1640.0,
        fixed=lru_cache_method.Converting,
        broken=lru_cache_method.ConvertingByMethod,
    ),
    Kind(
        name="traceback_kept",
        says="kept exceptions keep their frames",
        holder="deque FailuresWithTracebacks._recent -> ValueError -> traceback -> frame",
        bytes_per_update=2390.0,
        fixed=traceback_kept.Failures,
        broken=traceback_kept.FailuresWithTracebacks,
    ),
    Kind(
        name="gc_cycles_disabled",
        says="reference cycles, and the collector is off",
        holder="garbage Node <-> Node, gc is disabled",
        bytes_per_update=1510.0,
        fixed=gc_cycles_disabled.Parsing,
        broken=gc_cycles_disabled.ParsingWithoutCollector,
    ),
    Kind(
        name="asyncio_task_unfinished",
        says="tasks wait for what never comes",
        holder="set Acknowledgements._waiting -> Task -> coroutine",
        bytes_per_update=2720.0,
        fixed=asyncio_task_unfinished.Acknowledgements,
        broken=asyncio_task_unfinished.AcknowledgementsForEver,
    ),
    Kind(
        name="logger_per_request",
        says="a logger for each request id",
        holder="dict logging.Manager.loggerDict",
        bytes_per_update=1330.0,
        fixed=logger_per_request.Logging,
        broken=logger_per_request.LoggingByName,
    ),
    Kind(
        name="metric_labels",
        says="the request id is a label of a metric",
        holder="dict Counter.values",
        bytes_per_update=280.0,
        fixed=metric_labels.Counting,
        broken=metric_labels.CountingByRequest,
    ),
    Kind(
        name="native_malloc",
        says="a C buffer without its free",
        holder="anonymous memory outside Python's heap",
        bytes_per_update=1072.0,
        fixed=native_malloc.Decoding,
        broken=native_malloc.DecodingWithoutFree,
        gc_visible=False,
    ),
    Kind(
        name="missing_decref",
        says="a C extension takes a reference and never drops it",
        holder="bytes that nothing refers to",
        bytes_per_update=1056.0,
        fixed=missing_decref.Hashing,
        broken=missing_decref.HashingWithoutDrop,
        gc_visible=False,
    ),
    Kind(
        name="thread_local",
        says="thread-local scratch is never cleared",
        holder="list Scratch.parts of one thread",
        bytes_per_update=1073.0,
        fixed=thread_local.Gathering,
        broken=thread_local.GatheringForEver,
    ),
    Kind(
        name="malformed_rows",
        says="malformed rows of one region are kept",
        holder="dict RejectsKept._rows -> list -> SkuUpdate",
        bytes_per_update=141.0,
        fixed=malformed_rows.Rejects,
        broken=malformed_rows.RejectsKept,
    ),
    Kind(
        name="slow_db_queue",
        says="a queue without a limit, while the database is slow",
        holder="asyncio.Queue -> Page -> SkuUpdate",
        bytes_per_update=0.0,
    ),
    Kind(
        name="warmup_cache",
        says="a cache that fills once",
        holder="dict LastSeen._notes, at most 12,000 entries",
        bytes_per_update=0.0,
        fixed=warmup_cache.LastSeen,
        negative=True,
    ),
    Kind(
        name="page_cache",
        says="a spool on disk, whose pages the kernel caches",
        holder="the kernel's page cache",
        bytes_per_update=0.0,
        fixed=page_cache.Spool,
        negative=True,
    ),
)

BY_NAME = {kind.name: kind for kind in KINDS}
