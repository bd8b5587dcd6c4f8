"""XML-RPC: a call, and its answer read with limits.

The library's own client bounds no answer, knows no unix socket, and follows what a document type
makes of a few bytes.
"""

from typing import Any, NamedTuple

from forestall.guard.wire.endpoint import WireError
from forestall.guard.wire.http import said

DEPTH_MAX = 20


def call(method: str, *words: str) -> bytes:
    """The document that calls `method` with texts."""
    given = "".join(f"<param><value><string>{_escaped(w)}</string></value></param>" for w in words)
    body = f"<methodCall><methodName>{method}</methodName><params>{given}</params></methodCall>"
    return ('<?xml version="1.0"?>' + body).encode()


class Fault(NamedTuple):
    """What a server answers in place of a value."""

    code: int
    words: str


def parse_answer(data: bytes, name: str) -> Any:
    """The value of a methodResponse: texts, numbers, booleans, lists and dictionaries, or a fault.

    Raises WireError for what is none, and for any document type, which could grow without end.
    """
    from xml.parsers import expat

    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(data, True)
        return reader.result()
    except (expat.ExpatError, ValueError, LookupError, TypeError):
        raise WireError(f"{name}: the answer is not one of XML-RPC: {said(data[:80])}") from None


class _Reader:
    """Builds the value while the parser reads: a stack of what is open."""

    def __init__(self) -> None:
        self._values: list[list[Any]] = [[]]
        self._text = ""
        self._leaf = False
        self._fault = False
        self._names: list[str] = []

    def refuse(self, *_: Any) -> None:
        raise ValueError("a document type")

    def start(self, name: str, _: Any) -> None:
        self._text = ""
        self._leaf = name == "value" or self._leaf
        if name in ("array", "struct"):
            self._values.append([])
            self._leaf = False
        if len(self._values) > DEPTH_MAX:
            raise ValueError("too deep")
        self._fault = self._fault or name == "fault"

    def text(self, data: str) -> None:
        self._text += data

    def end(self, name: str) -> None:
        if name in ("int", "i4"):
            self._add(int(self._text))
        elif name == "boolean":
            self._add(self._text.strip() == "1")
        elif name == "double":
            self._add(float(self._text))
        elif name in ("string", "nil"):
            self._add(self._text)
        elif name == "value" and self._leaf:
            # A text may stand in a value without a type of its own.
            self._add(self._text)
        elif name == "name":
            self._names.append(self._text)
            self._add(self._text)
        elif name == "array":
            self._add(self._values.pop())
        elif name == "struct":
            parts = self._values.pop()
            self._add(dict(zip(parts[::2], parts[1::2], strict=True)))

    def result(self) -> Any:
        (value,) = self._values[0]
        if self._fault:
            return Fault(int(value["faultCode"]), said(str(value["faultString"]).encode()))
        return value

    def _add(self, value: Any) -> None:
        self._values[-1].append(value)
        self._leaf = False


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
