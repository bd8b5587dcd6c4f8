"""Logs as JSON -> what the kernel said: journalctl's entries, and what Loki, Elasticsearch,
container runtimes and `jq` make of log lines.

An object with a text under one of MESSAGE_KEYS is an entry, wherever it is nested.
"""

import json
from collections.abc import Callable, Iterator
from enum import StrEnum

from forestall.audit.oom import words
from forestall.audit.oom.prefix import Said, split
from forestall.units import MIB

MESSAGE_KEYS = ("MESSAGE", "message", "msg", "line", "log", "textPayload", "text", "_raw", "body")
HOST_KEYS = ("_HOSTNAME", "host", "hostname", "HOST", "node")
DEPTH_MAX = 8
OBJECT_BYTES_MAX = 32 * MIB
# What stands in a journal's object whose message is a list of bytes; those are rare.
TRIGGERS = (*words.TRIGGERS, b'"MESSAGE":[', b'"MESSAGE": [')
BETWEEN = "\x1e\ufeff \t\r\n,[]"


class Form(StrEnum):
    """An object in each line, or objects that are spread over lines or stand in an array."""

    LINES = "lines"
    DOCUMENT = "document"


def form_of(head: bytes) -> Form | None:
    """None = the head of a file is no JSON."""
    head = head.lstrip(b"\x1e\xef\xbb\xbf \r\n")
    if head.startswith(b"[") and head[1:].lstrip().startswith(b"{"):
        return Form.DOCUMENT
    if not head.startswith(b"{"):
        return None
    line, ended, _ = head.partition(b"\n")
    return Form.LINES if ended and parsed(line) is not None else Form.DOCUMENT


def parsed(raw: bytes) -> object:
    """The value of a line; None where it is none."""
    try:
        return json.loads(raw.lstrip(b"\x1e\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return None


def objects(read: Callable[[int], bytes]) -> Iterator[tuple[object, bytes]]:
    """The objects of an array, or one after another, with their text; None for a line that is no
    JSON.
    """
    decoder, text, wanted = json.JSONDecoder(), "", 0
    while True:
        data = read(MIB)
        text += data.decode("utf-8", "replace")
        if data and len(text) < wanted:
            continue
        at = 0
        while True:
            while at < len(text) and text[at] in BETWEEN:
                at += 1
            try:
                value, end = decoder.raw_decode(text, at)
            except (ValueError, RecursionError):
                if at >= len(text) or (data and len(text) - at < OBJECT_BYTES_MAX):
                    break
                end = text.find("\n", at) + 1 or len(text)
                yield None, text[at:end].encode("utf-8", "replace")
                at = end
                continue
            yield value, text[at:end].encode("utf-8", "replace")
            at = end
        text = text[at:]
        # An object that is not whole yet is not tried again at each piece of it.
        wanted = 2 * len(text)
        if not data:
            return


def said_by(number: int, value: object, host: str | None = None, depth: int = 0) -> Iterator[Said]:
    """What the kernel said in a JSON value."""
    if depth > DEPTH_MAX:
        return
    if isinstance(value, dict):
        named = next((one for one in map(value.get, HOST_KEYS) if isinstance(one, str)), host)
        if any(_text(value.get(key)) for key in MESSAGE_KEYS):
            fields = {key: _text(one) for key, one in value.items()}
            yield from entry(number, fields, named)
            return
        stream = value.get("stream")
        if isinstance(stream, dict):
            named = next((one for one in map(stream.get, HOST_KEYS) if isinstance(one, str)), named)
        for one in value.values():
            yield from said_by(number, one, named, depth + 1)
    elif isinstance(value, list):
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], str):
            # Loki's API: nanoseconds, and the line.
            yield from split(number, value[1], host=host)
            return
        for one in value:
            yield from said_by(number, one, host, depth + 1)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(b, int) and 0 <= b < 256 for b in value):
        return bytes(value).decode("utf-8", "replace")
    return ""


def entry(number: int, fields: dict[str, str], host: str | None = None) -> Iterator[Said]:
    """A journal's entry, if the kernel's. _TRANSPORT is journald's word; nobody can forge it."""
    transport = fields.get("_TRANSPORT")
    if transport is None:
        if fields.get("SYSLOG_IDENTIFIER", "kernel") != "kernel":
            return
    elif transport != "kernel":
        return
    at = seconds = None
    realtime = fields.get("__REALTIME_TIMESTAMP", "")
    if realtime.isascii() and realtime.isdigit() and len(realtime) <= 17:
        at = _utc(int(realtime))
    for name in ("_SOURCE_MONOTONIC_TIMESTAMP", "__MONOTONIC_TIMESTAMP"):
        value = fields.get(name, "")
        if seconds is None and value.isascii() and value.isdigit() and len(value) <= 17:
            seconds = int(value) / 1e6
    message = next(filter(None, (fields.get(key) for key in MESSAGE_KEYS)), "")
    host = fields.get("_HOSTNAME") or host
    for line in message.split("\n"):
        for said in split(number, line, at, host):
            timed = said if said.seconds is not None else said._replace(seconds=seconds)
            yield timed._replace(boot=fields.get("_BOOT_ID") or None)


def _utc(microseconds: int) -> str | None:
    import datetime

    try:
        at = datetime.datetime.fromtimestamp(microseconds / 1e6, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
