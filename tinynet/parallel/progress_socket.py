"""Progress of jobs in other processes: each epoch record is sent over a socket, as one line of JSON."""

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

TIMEOUT = 2.0
"""Seconds to wait for the connection. Without a connection the job trains and sends nothing."""


class Address(NamedTuple):
    """Where records are sent, and the token that the receiver accepts."""

    host: str
    port: int
    token: str


@contextlib.contextmanager
def receiver(receive: Callable[[int, Record], None], remote: bool) -> Iterator[Address]:
    """Call receive(job, record) for each record that is sent to the yielded address, in another thread.

    Other machines can send only if `remote` is True. Lines without the right token or a valid record are ignored.
    """
    token = secrets.token_hex(16)

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    message = json.loads(line)
                    if secrets.compare_digest(message["token"], token):
                        receive(message["job"], Record(**message["record"]))

    host = _own_address() if remote else "127.0.0.1"
    with socketserver.ThreadingTCPServer(("" if remote else host, 0), Connection) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Address(host, server.server_address[1], token)
        finally:
            server.shutdown()


@contextlib.contextmanager
def sender(job: int, address: Address | None) -> Iterator[Callable[[Record], None]]:
    """Yield a callback for `fit` that sends each record. On exit, wait until the receiver has read all of them."""
    with contextlib.ExitStack() as stack:
        connection: Any = None
        if address:
            with contextlib.suppress(OSError):
                connection = stack.enter_context(socket.create_connection(address[:2], TIMEOUT))

        def send(record: Record) -> None:
            if connection and address:
                message = {"token": address.token, "job": job, "record": asdict(record)}
                with contextlib.suppress(OSError):
                    connection.sendall(json.dumps(message).encode() + b"\n")

        yield send
        if connection:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)  # returns once the receiver has closed the connection


def _own_address() -> str:
    """Return the address of this machine in its network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # sends nothing, but selects the network interface
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostbyname(socket.gethostname())
