"""A small LangGraph Server: its HTTP API over a graph that runs in this process, for tests of its clients."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dashflow.errors import GraphRecursionError
from dashflow.types import Command


def plain(value: Any) -> Any:
    """The value as JSON has it."""
    return json.loads(json.dumps(value, default=lambda one: getattr(one, "__dict__", None) or str(one)))


def interrupts(found: Any) -> list[dict[str, Any]]:
    return [{"value": one.value, "id": one.id} for one in found]


def place(config: Any) -> dict[str, Any] | None:
    if config is None:
        return None
    known = config["configurable"]
    return {key: known.get(key) for key in ("thread_id", "checkpoint_ns", "checkpoint_id")}


def state(snapshot: Any) -> dict[str, Any]:
    """A snapshot as the API shows it."""
    return {
        "values": plain(snapshot.values),
        "next": list(snapshot.next),
        "checkpoint": place(snapshot.config),
        "metadata": plain(snapshot.metadata),
        "created_at": snapshot.created_at,
        "parent_checkpoint": place(snapshot.parent_config),
        "tasks": [
            {
                "id": task.id,
                "name": task.name,
                "error": repr(task.error) if task.error else None,
                "interrupts": interrupts(task.interrupts),
                "checkpoint": None,
                "state": None,
                "result": plain(task.result),
            }
            for task in snapshot.tasks
        ],
    }


class Server:
    """Serves ``graph`` until it is closed; ``requests`` are the (path, headers, body) that came in."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"server_of": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def run(self, thread: str | None, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The events of a run."""
        config = dict(body.get("config") or {})
        config["configurable"] = {**config.get("configurable", {}), "thread_id": thread or "anonymous"}
        given = body.get("input")
        if body.get("command"):
            given = Command(**body["command"])
        modes = ["messages" if mode == "messages-tuple" else mode for mode in body["stream_mode"]]
        try:
            for namespace, mode, data in self.graph.stream(
                given,
                config,
                context=body.get("context"),
                stream_mode=modes,
                subgraphs=True,
                interrupt_before=body.get("interrupt_before"),
                interrupt_after=body.get("interrupt_after"),
            ):
                if isinstance(data, dict) and "__interrupt__" in data:
                    data = {**data, "__interrupt__": interrupts(data["__interrupt__"])}
                if not namespace or body.get("stream_subgraphs"):
                    yield "|".join((mode, *namespace)), plain(data)
        except (ValueError, GraphRecursionError) as error:
            yield "error", {"error": type(error).__name__, "message": str(error)}

    def answer(self, method: str, path: list[str], body: Any) -> Any:
        """The answer to a request that is no stream."""
        graph = self.graph
        match method, path:
            case "GET", ["assistants", _, "graph"]:
                return graph.get_graph(xray=body.get("xray") == "true").to_json()
            case "GET", ["threads", thread, "state"]:
                return state(graph.get_state({"configurable": {"thread_id": thread}}))
            case "POST", ["threads", _, "state", "checkpoint"]:
                return state(graph.get_state({"configurable": body["checkpoint"]}))
            case "POST", ["threads", thread, "history"]:
                config = {"configurable": {"thread_id": thread}}
                found = graph.get_state_history(config, filter=body.get("metadata"), limit=body.get("limit"))
                return [state(one) for one in found]
            case "POST", ["threads", thread, "state"]:
                config = {"configurable": {**(body.get("checkpoint") or {}), "thread_id": thread}}
                made = graph.update_state(config, body["values"], body.get("as_node"))
                return {"checkpoint": place(made)}
        raise LookupError(f"{method} {path}")


class _Handler(BaseHTTPRequestHandler):
    server_of: Server

    def log_message(self, *args: Any) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        found = dict(pair.split("=", 1) for pair in query.split("&") if pair)
        self._note(found)
        self._json(self.server_of.answer("GET", path.strip("/").split("/"), found))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "null")
        self._note(body)
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[-2:] == ["runs", "stream"]:
            thread = parts[1] if parts[0] == "threads" else None
            self._stream(self.server_of.run(thread, body))
        else:
            self._json(self.server_of.answer("POST", parts, body))

    def _note(self, body: Any) -> None:
        self.server_of.requests.append((self.path, dict(self.headers), body))

    def _json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Iterator[tuple[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event, data in events:
            self.wfile.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
        self.close_connection = True
