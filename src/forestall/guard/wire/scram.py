"""Answers to a PostgreSQL server that asks for a password: MD5, and SCRAM-SHA-256 (RFC 5802, 7677).

Without channel binding, which pgbouncer does not offer on plain connections.
"""

import hashlib
import hmac
import os
from base64 import b64decode, b64encode

ITERATIONS_MAX = 1_000_000
"""PostgreSQL's own number is 4,096; a hostile one would keep this host computing."""


def md5_answer(user: str, password: str, salt: bytes) -> bytes:
    """What AuthenticationMD5Password asks for."""
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
    return b"md5" + outer.encode()


class Scram:
    """One login. `proven`: the server has shown that it knows the password, too.

    Raises ValueError, which shows no secret, where the server does not keep to the protocol.
    """

    def __init__(self, password: str, nonce: bytes | None = None) -> None:
        self._password = prepared(password)
        self._nonce = b64encode(os.urandom(18)) if nonce is None else nonce
        self._signature: bytes | None = None
        self.proven = False

    def first(self) -> bytes:
        """client-first-message; PostgreSQL takes the user from the startup message."""
        return b"n,," + self._bare()

    def final(self, server_first: bytes) -> bytes:
        """client-final-message, which answers server-first-message."""
        fields = _fields(server_first)
        nonce, salt = fields.get(b"r", b""), b64decode(fields.get(b"s", b""), validate=True)
        count = int(fields.get(b"i", b"0")[:8])
        if not nonce.startswith(self._nonce) or len(nonce) <= len(self._nonce):
            raise ValueError("its nonce does not begin with ours")
        if not salt or not 0 < count <= ITERATIONS_MAX:
            raise ValueError("its salt or its number of iterations cannot be used")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, count)
        without_proof = b"c=biws,r=" + nonce
        message = b",".join((self._bare(), server_first, without_proof))
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), message)
        return without_proof + b",p=" + b64encode(proof)

    def check(self, server_final: bytes) -> None:
        """Take server-final-message."""
        told = b64decode(_fields(server_final).get(b"v", b""))
        if self._signature is None or not hmac.compare_digest(told, self._signature):
            raise ValueError("its signature is not that of a server that knows the password")
        self.proven = True

    def _bare(self) -> bytes:
        return b"n=,r=" + self._nonce


def prepared(password: str) -> bytes:
    """SASLprep (RFC 4013) where it changes something; what it forbids is taken as it is."""
    if password.isascii():
        return password.encode()
    import stringprep
    import unicodedata

    kept = (c for c in password if not stringprep.in_table_b1(c))
    spaced = "".join(" " if stringprep.in_table_c12(c) else c for c in kept)
    return unicodedata.normalize("NFKC", spaced).encode()


def _fields(message: bytes) -> dict[bytes, bytes]:
    return {part[:1]: part[2:] for part in message.split(b",") if part[1:2] == b"="}


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
