"""`cims serve`: the REST API and the dashboard."""

import argparse
import ipaddress
import os
import re
import secrets
import socket
import sys

import uvicorn

from cims.api.app import build
from cims.cli import dsn_of
from cims.errors import CimsError, UsageError
from cims.settings import Settings, token_hash

MAX_REQUESTS = 200


def configure(parser: argparse.ArgumentParser) -> None:
    """Where, and who may ask."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8640, help="port; 0 takes a free one (8640)")
    parser.add_argument(
        "--token-hashes",
        metavar="FILE",
        default=None,
        help="SHA-256 of each known token, one a line (default: CIMS_TOKEN_HASHES, by commas)",
    )
    parser.add_argument(
        "--no-token", action="store_true", help="ask for no token; on loopback alone"
    )
    parser.add_argument(
        "--new-token", action="store_true", help="print a new token and its hash, and stop"
    )
    parser.add_argument("--connections", type=int, default=16, help="to the database (16)")


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    if args.new_token:
        token = secrets.token_urlsafe(32)
        print(f"token: {token}\nhash:  {token_hash(token)}")
        return 0
    if not 1 <= args.connections <= 200 or not 0 <= args.port <= 65535:
        raise UsageError("--connections must be 1 to 200, --port 0 to 65535")
    settings = Settings(dsn=dsn_of(args), token_hashes=_hashes(args), connections=args.connections)
    listener = _listen(args.host, args.port)
    host, port = listener.getsockname()[:2]
    print(f"cims: serving on http://{host}:{port}/", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        build(settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_REQUESTS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
        proxy_headers=False,
    )
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _hashes(args: argparse.Namespace) -> frozenset[str]:
    if args.token_hashes is not None:
        with open(args.token_hashes, encoding="utf-8") as lines:
            words = [line.split("#")[0].strip() for line in lines.read(65536).splitlines()]
    else:
        words = os.environ.get("CIMS_TOKEN_HASHES", "").split(",")
    found = frozenset(word.strip().lower() for word in words if word.strip())
    if not all(re.fullmatch("[0-9a-f]{64}", word) for word in found):
        raise UsageError("a token hash is 64 hexadecimal digits", help="see --new-token")
    if found:
        if args.no_token:
            raise UsageError("--no-token, and tokens are given: which is it?")
        return found
    if not args.no_token:
        raise UsageError("no token is known", help="see --new-token, or say --no-token")
    if not _is_loopback(args.host):
        raise UsageError(f"--no-token on {args.host}: only loopback may go without")
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where a socket says that it is TCP. With it the body
    # of an answer waits some 40 ms for the acknowledgement of its header.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CimsError(
            f"{host}:{port}: {error.strerror or error}", help="name another --host or --port"
        ) from error
    listener.listen(256)
    return listener
