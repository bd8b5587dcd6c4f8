"""A review as a JSON document: what is absent is left out, so that every leaf is one to edit."""

import json

from forestall.errors import InputError
from forestall.model import codec
from forestall.model.codec import Json
from forestall.model.review import Review

JSON_BYTES_MAX = 64 << 20

# Defaults that say nothing; an empty section, on the other hand, is a heading in the document.
_EMPTY_MEANS_ABSENT = {"values": {}, "residual": [], "drop": [], "insert": [], "fold": 0}


def to_json(review: Review) -> Json:
    """The JSON values of a review's document."""
    return _without_absent(codec.to_document(review))


def dump(review: Review) -> str:
    """The document as indented text; any byte of the original survives, as a JSON escape."""
    return json.dumps(to_json(review), indent=2, allow_nan=False) + "\n"


def load(data: bytes) -> Review:
    """Inverse of `dump`. Raises InputError for anything else, with the JSON pointer."""
    if len(data) > JSON_BYTES_MAX:
        raise InputError(f"more than {JSON_BYTES_MAX >> 20} MiB of JSON is no review")
    return codec.loads(Review, data)


def _without_absent(value: Json) -> Json:
    if isinstance(value, list):
        return [_without_absent(item) for item in value]
    if isinstance(value, dict):
        return {
            key: _without_absent(item)
            for key, item in value.items()
            if item is not None and not _says_nothing(key, item)
        }
    return value


def _says_nothing(key: str, item: Json) -> bool:
    return key in _EMPTY_MEANS_ABSENT and item == _EMPTY_MEANS_ABSENT[key] and item is not False
