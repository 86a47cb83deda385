"""A transaction pooler in front of a real PostgreSQL server, as small as one can be.

It does what pgbouncer does in transaction mode: every transaction of a client goes to whichever server
session is free, so that nothing which a client leaves behind in a session is there the next time. It speaks
the wire protocol as far as messages begin and end, and understands nothing of what they say. The session that
was free for longest is taken first, so that a client rarely gets the same one twice.
"""

import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102


class Pooler:
    """Listens on a port of this machine.

    Attributes:
        dsn: Its address.
        served: How many transactions went through it.
        mended: Cleared, nothing that clients send goes on to the server, and nobody is told: the network
            is cut.
    """

    def __init__(self, dsn: str, sessions: int) -> None:
        with psycopg.connect(dsn) as connection:
            info = connection.info
            self._user, self._database = info.user, info.dbname
            self._socket = f"{info.host}/.s.PGSQL.{info.port}"
        self._greeting = b""
        self._free = deque(self._connect() for _ in range(sessions))
        self._some_free = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self.dsn = f"postgresql://{self._user}@127.0.0.1:{self._listener.getsockname()[1]}/{self._database}"
        self.served = 0
        self.mended = threading.Event()
        self.mended.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        self.mended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        with self._some_free:
            for session in self._free:
                session.close()

    def _connect(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.connect(self._socket)
        words = b"".join(
            part.encode() + b"\0" for part in ("user", self._user, "database", self._database, "")
        )
        link.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        self._greeting, _ = until_ready(link)
        return link

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, EOFError):
            while True:
                (length,) = struct.unpack("!i", exactly(client, 4))
                body = exactly(client, length - 4)
                (code,) = struct.unpack("!i", body[:4])
                if code == _CANCEL:
                    return
                if code not in (_SSL, _GSS):
                    break
                client.sendall(b"N")
            client.sendall(self._greeting)
            while True:
                messages, ending = until_sync(client)
                if ending:
                    return
                self._transaction(client, messages)

    def _transaction(self, client: socket.socket, messages: bytes) -> None:
        """Hold a session until the server says that no transaction is open."""
        assert self.mended.wait(60)
        with self._some_free:
            assert self._some_free.wait_for(lambda: self._free, timeout=60)
            session = self._free.popleft()
            self.served += 1
        try:
            while True:
                session.sendall(messages)
                answer, idle = until_ready(session)
                client.sendall(answer)
                if idle:
                    return
                messages, ending = until_sync(client)
                if ending:
                    messages = b"Q" + struct.pack("!i", 13) + b"ROLLBACK\0"
                    session.sendall(messages)
                    until_ready(session)
                    raise EOFError
        finally:
            with self._some_free:
                self._free.append(session)
                self._some_free.notify()


def exactly(link: socket.socket, count: int) -> bytes:
    """So many bytes."""
    parts = b""
    while len(parts) < count:
        part = link.recv(count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return parts


def message(link: socket.socket) -> tuple[bytes, bytes]:
    """The next message: its kind, and all of it."""
    head = exactly(link, 5)
    (length,) = struct.unpack("!i", head[1:])
    return head[:1], head + exactly(link, length - 4)


def until_sync(client: socket.socket) -> tuple[bytes, bool]:
    """What a client sends up to where it wants an answer; whether it wants to leave."""
    messages = b""
    while True:
        try:
            kind, whole = message(client)
        except EOFError:
            return b"", True
        if kind == b"X":
            return b"", True
        messages += whole
        if kind in b"SQ":
            return messages, False


def until_ready(link: socket.socket) -> tuple[bytes, bool]:
    """What a server answers up to where it is ready; whether no transaction is open."""
    messages = b""
    while True:
        kind, whole = message(link)
        if kind != b"A":  # notifications reach nobody
            messages += whole
        if kind == b"Z":
            return messages, whole[5:6] == b"I"


@contextmanager
def pooled(dsn: str, sessions: int = 3) -> Iterator[Pooler]:
    """A pooler for a server that listens on a socket in a folder."""
    pooler = Pooler(dsn, sessions)
    yield pooler
    pooler.close()
