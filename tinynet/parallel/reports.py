"""How jobs that run elsewhere tell how far they are: a line of JSON an epoch, to a socket of the one who shows it."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, NamedTuple

from ..training.history import Record

PATIENCE = 2.0
"""Seconds to wait for who listens. Nobody there: the job trains all the same, and says nothing."""


class Address(NamedTuple):
    """Where reports go, and the word by which they are known."""

    host: str
    port: int
    word: str


@contextlib.contextmanager
def listening(hear: Callable[[int, Record], None], everywhere: bool) -> Iterator[Address]:
    """While this lasts, hear(job, record) is called for every epoch of a job; from other machines if `everywhere`."""
    word = secrets.token_hex(16)

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    report = json.loads(line)
                    if secrets.compare_digest(report["word"], word):
                        hear(report["job"], Record(**report["record"]))

    host = _own_address() if everywhere else "127.0.0.1"
    with socketserver.ThreadingTCPServer(("" if everywhere else host, 0), Line) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Address(host, server.server_address[1], word)
        finally:
            server.shutdown()


@contextlib.contextmanager
def reporting(job: int, address: Address | None) -> Iterator[Callable[[Record], None]]:
    """A callback for `fit` that tells of each epoch; the end waits until all has been heard, so that it comes last."""
    with contextlib.ExitStack() as stack:
        line: Any = None
        if address:
            with contextlib.suppress(OSError):
                line = stack.enter_context(socket.create_connection(address[:2], PATIENCE))

        def tell(record: Record) -> None:
            if line and address:
                report = {"word": address.word, "job": job, "record": asdict(record)}
                with contextlib.suppress(OSError):
                    line.sendall(json.dumps(report).encode() + b"\n")

        yield tell
        if line:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_WR)
                line.recv(1)  # nothing comes, but the other side closes


def _own_address() -> str:
    """This machine as others on its network know it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # sends nothing: it only chooses the way out
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostbyname(socket.gethostname())
