"""A provider of chat completions as OpenAI's clients know it: JSON and server-sent events, on loopback.

It answers a question with the calls that it was given, and their results with a text;
and it refuses what OpenAI refuses: results that answer no call, and calls that no result answers.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import zip_longest
from typing import Any

MOST_BYTES = 100_000
MOST_REQUESTS = 20

Call = tuple[str, str, dict[str, Any]]


class Provider:
    """Serves until it is closed.

    Attributes:
        calls: What it asks for: id, name and arguments of each.
        text: What it says when it has the results.
        requests: The bodies that came in.
        agents: The clients that sent them, by their own account.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.text = "Done."
        self.requests: list[dict[str, Any]] = []
        self.agents: list[str] = []
        # One connection after the other: no thread outlives the server.
        self._http = HTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"provider": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def refusal(self, body: dict[str, Any]) -> str | None:
        """What is wrong with a request."""
        if len(self.requests) > MOST_REQUESTS:
            return f"more than {MOST_REQUESTS} requests"
        waiting: set[str] = set()
        for message in body["messages"]:
            if message["role"] == "tool":
                if message["tool_call_id"] not in waiting:
                    return "messages with role 'tool' must be a response to a message with 'tool_calls'"
                waiting.remove(message["tool_call_id"])
            elif waiting:
                break
            else:
                waiting = {call["id"] for call in message.get("tool_calls") or ()}
        return f"tool_call_ids did not have response messages: {sorted(waiting)}" if waiting else None

    def message(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a conversation."""
        if body["messages"][-1]["role"] == "tool":
            return {"role": "assistant", "content": self.text}
        calls = [
            {"id": ident, "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
            for ident, name, args in self.calls
        ]
        return {"role": "assistant", "content": None, "tool_calls": calls}


def deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The message in pieces: calls by id and name, then pieces of their arguments in turn, by index."""
    yield {"role": "assistant", "content": None if message["content"] is None else ""}
    if message["content"] is not None:
        yield from ({"content": piece} for piece in pieces(message["content"]))
        return
    for index, call in enumerate(message["tool_calls"]):
        start = {"name": call["function"]["name"], "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": start}]}
    arguments = [pieces(call["function"]["arguments"]) for call in message["tool_calls"]]
    for turn in zip_longest(*arguments):
        for index, piece in enumerate(turn):
            if piece is not None:
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def pieces(text: str) -> list[str]:
    """The text, five characters at a time."""
    return [text[start : start + 5] for start in range(0, len(text), 5)]


class _Handler(BaseHTTPRequestHandler):
    provider: Provider
    timeout = 30  # seconds, for a client that says nothing

    def log_message(self, *args: Any) -> None:
        """Nothing is printed."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if self.path != "/v1/chat/completions" or length > MOST_BYTES:
            return self.send_error(404)
        body = json.loads(self.rfile.read(length))
        self.provider.requests.append(body)
        self.provider.agents.append(self.headers["User-Agent"])
        if problem := self.provider.refusal(body):
            return self._json(400, {"error": {"message": problem, "type": "invalid_request_error"}})
        message = self.provider.message(body)
        ends = "stop" if message["content"] is not None else "tool_calls"
        about = {"id": f"chatcmpl-{len(self.provider.requests)}", "created": 0, "model": body["model"]}
        if body.get("stream"):
            return self._stream({**about, "object": "chat.completion.chunk"}, message, ends)
        choice = {"index": 0, "message": message, "finish_reason": ends}
        return self._json(200, {**about, "object": "chat.completion", "choices": [choice]})

    def _json(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, about: dict[str, Any], message: dict[str, Any], ends: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas(message)]
        for choice in [*choices, {"index": 0, "delta": {}, "finish_reason": ends}]:
            self.wfile.write(f"data: {json.dumps({**about, 'choices': [choice]})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
