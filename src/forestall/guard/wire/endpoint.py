"""Where a server listens, what it must show, and what it is told: addresses, TLS, secrets."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forestall.errors import ForestallError, UsageError

if TYPE_CHECKING:
    from ssl import SSLContext

SECRET_BYTES_MAX = 4 * 1024
UNIX_PATH_BYTES_MAX = 107


class WireError(ForestallError):
    """A server could not be asked, or answered what its protocol does not allow."""


class RefusedError(WireError):
    """The server understood, and said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a server must show: a certificate of this authority, or of the host's own ones.

    `certificate` and `key` are files of the client's own, for servers that ask for one.
    """

    authority: str | None = None
    certificate: str | None = None
    key: str | None = None

    def context(self) -> "SSLContext":
        """Raises WireError naming the file that is at fault."""
        # Imported here: an agent that talks to plain sockets does not carry it.
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.authority)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            files = ", ".join(filter(None, (self.authority, self.certificate, self.key)))
            raise WireError(f"{files}: no certificates to use: {error.strerror or error}") from None
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a server listens: `path` of a unix socket, or `host` and `port`, plain or with TLS."""

    host: str = ""
    port: int = 0
    path: str | None = None
    tls: Tls | None = None

    @property
    def shown(self) -> str:
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str, *, port: int = 0, tls: Tls | None = None) -> Endpoint:
    """`/run/x.sock`, `host:port`, `[::1]:port`, or `host` with a default port.

    Raises UsageError.
    """
    if text.startswith("/") and "\0" not in text and len(text.encode()) <= UNIX_PATH_BYTES_MAX:
        return Endpoint(path=text)
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, number = text, str(port)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    plain = host.isascii() and host.isprintable() and not set(host) & set(" /@[]?#")
    if not host or not plain or not number.isdecimal() or not 0 < _port(number) < 65536:
        raise UsageError(
            f"not an address: {text!r}", help="write host:port, or the path of a unix socket"
        )
    return Endpoint(host=host, port=_port(number), tls=tls)


def _port(number: str) -> int:
    return int(number) if len(number) <= 5 else 0


def read_secret(path: str) -> str:
    """The one line of a secret's file. Raises WireError, which never shows it."""
    try:
        with open(path, "rb") as file:
            data = file.read(SECRET_BYTES_MAX + 1)
        text = data.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise WireError(f"{path}: no secret to read: {why}") from None
    if not text or len(data) > SECRET_BYTES_MAX or any(c in text for c in "\0\r\n"):
        raise WireError(f"{path}: not one line with a secret of at most {SECRET_BYTES_MAX} bytes")
    return text
