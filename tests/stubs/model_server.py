"""A model provider over real HTTP: OpenAI chat completions and Anthropic messages.

In a test:     async with ModelServer.start() as server: server.script(rate_limited(7)) ...
As a process:  python -m tests.stubs.model_server --port 9000 --latency 0.05 --log seen.jsonl
               GET /requests, POST /control {"latency": .., "faults": {"server_error": 0.1}, ..}
"""

import argparse
import asyncio
import hashlib
import importlib
import json
import random
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from tests.stubs.fake_answers import fake_answer

HOST = "127.0.0.1"
OPENAI = "/v1/chat/completions"
ANTHROPIC = "/v1/messages"


@dataclass(frozen=True)
class Seen:
    """One request to a model, as the server saw it."""

    path: str
    body: Mapping[str, Any]
    digest: str
    at: float

    @property
    def provider(self) -> str:
        return "openai" if self.path == OPENAI else "anthropic"

    @property
    def prompt(self) -> str:
        content = self.body["messages"][-1]["content"]
        if isinstance(content, str):
            return content
        return "".join(part.get("text", "") for part in content)

    @property
    def schema(self) -> Mapping[str, Any]:
        """What the answer must look like, wherever this request says so."""
        schema: Mapping[str, Any]
        if self.provider == "openai":
            schema = self.body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        elif tools := self.body.get("tools"):
            schema = tools[0]["input_schema"]
        else:
            schema = self.body.get("output_config", {}).get("format", {}).get("schema", {})
        return schema


@dataclass(frozen=True)
class Reply:
    """What the server sends back.

    `never` leaves the request open, `hang_up` closes the connection without an answer, and
    `latency` replaces the server's own.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    latency: float | None = None
    never: bool = False
    hang_up: bool = False


Behaviour = Callable[[Seen], Reply]
Answers = Callable[[Mapping[str, Any], str], Any]


# --- Behaviours -----------------------------------------------------------------------------


def good(
    answer: Any = None,
    *,
    answers: Answers = fake_answer,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cached_tokens: int = 0,
    model: str | None = None,
) -> Behaviour:
    """A right answer: the given one, or one made up from the request's schema."""

    def behave(seen: Seen) -> Reply:
        value = answers(seen.schema, seen.prompt) if answer is None else answer
        text = json.dumps(value)
        usage = (
            len(json.dumps(seen.body["messages"])) // 4 if input_tokens is None else input_tokens,
            len(text) // 4 if output_tokens is None else output_tokens,
            cached_tokens,
        )
        if seen.provider == "anthropic" and seen.body.get("tools"):
            return _anthropic_tool(seen, value, usage, model)
        return _text(seen, text, usage=usage, model=model)

    return behave


def text(content: str) -> Behaviour:
    """A finished answer of exactly this text."""
    return lambda seen: _text(seen, content)


def empty(seen: Seen) -> Reply:
    """A 200 without any content."""
    return _text(seen, None)


def prose(seen: Seen) -> Reply:
    """The right JSON in the middle of talk."""
    value = json.dumps(fake_answer(seen.schema, seen.prompt))
    return _text(seen, f"Here you are:\n```json\n{value}\n```\nI hope that helps!")


def wrong_enum(seen: Seen) -> Reply:
    """An answer of the right shape with values that no enum knows."""
    return good(fake_answer(seen.schema, seen.prompt, enums=lambda _: "no-such-member"))(seen)


def broken_answer(seen: Seen) -> Reply:
    """Answer JSON that stops half-way, though the model says that it is finished."""
    value = json.dumps(fake_answer(seen.schema, seen.prompt))
    return _text(seen, value[: len(value) // 2])


def cut_off(seen: Seen) -> Reply:
    """The answer's token limit was reached."""
    return _text(seen, '{"rules": [{"na', finish="length", anthropic_finish="max_tokens")


def refused(seen: Seen) -> Reply:
    """The provider's safety filter took the answer away."""
    return _text(seen, None, finish="content_filter", anthropic_finish="refusal")


def broken_envelope(seen: Seen) -> Reply:
    """A 200 whose body is cut off in the middle of its JSON."""
    whole = good()(seen)
    return replace(whole, body=whole.body[: len(whole.body) // 2])


def not_an_envelope(seen: Seen) -> Reply:
    """A 200 with JSON that is no answer, as gateways send it."""
    return Reply(body=b'{"error": {"message": "upstream failed: secret-prompt", "code": 502}}')


def never(seen: Seen) -> Reply:
    """No answer at all."""
    return Reply(never=True)


def hang_up(seen: Seen) -> Reply:
    """The connection closes without an answer."""
    return Reply(hang_up=True)


def rate_limited(retry_after: float | str | None = None) -> Behaviour:
    """429, with or without a Retry-After."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return lambda seen: _error(seen, 429, "rate_limit_exceeded", "rate_limit_error", headers)


def quota_exhausted(seen: Seen) -> Reply:
    """429 of the kind that waiting does not help."""
    if seen.provider == "anthropic":
        return _error(
            seen, 400, "", "invalid_request_error", message="Your credit balance is too low"
        )
    return _error(seen, 429, "insufficient_quota", "insufficient_quota")


def server_error(status: int = 500, retry_after: float | None = None) -> Behaviour:
    """5xx."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    kind = "overloaded_error" if status == OVERLOADED else "api_error"
    return lambda seen: _error(seen, status, "server_error", kind, headers)


OVERLOADED = 529


def unauthorised(status: int = 401) -> Behaviour:
    """The key is refused."""
    return lambda seen: _error(seen, status, "invalid_api_key", "authentication_error")


def unknown_model(seen: Seen) -> Reply:
    """404 for the model."""
    return _error(seen, 404, "model_not_found", "not_found_error")


def rejected(status: int = 400) -> Behaviour:
    """The request itself is refused."""
    return lambda seen: _error(seen, status, "invalid_value", "invalid_request_error")


def too_long(seen: Seen) -> Reply:
    """The prompt is over the model's context window."""
    message = "prompt is too long: 300000 tokens > 200000 maximum"
    return _error(seen, 400, "context_length_exceeded", "invalid_request_error", message=message)


FAULTS: Mapping[str, Behaviour] = {
    "rate_limited": rate_limited(1),
    "quota_exhausted": quota_exhausted,
    "server_error": server_error(),
    "overloaded": server_error(OVERLOADED),
    "never": never,
    "hang_up": hang_up,
    "broken_envelope": broken_envelope,
    "broken_answer": broken_answer,
    "prose": prose,
    "wrong_enum": wrong_enum,
    "empty": empty,
    "cut_off": cut_off,
    "unauthorised": unauthorised(),
    "unknown_model": unknown_model,
    "rejected": rejected(),
}


class Mix:
    """Faults by probability, reproducible by seed; what is left is answered well."""

    def __init__(
        self, faults: Mapping[str, float], *, seed: int = 0, otherwise: Behaviour | None = None
    ) -> None:
        self._names = [*faults, ""]
        self._weights = [*faults.values(), max(0.0, 1 - sum(faults.values()))]
        self._otherwise = otherwise or good()
        self._random = random.Random(seed)
        self.chosen: Counter[str] = Counter()

    def __call__(self, seen: Seen) -> Reply:
        (name,) = self._random.choices(self._names, self._weights)
        self.chosen[name or "good"] += 1
        return FAULTS[name](seen) if name else self._otherwise(seen)


# --- Envelopes ------------------------------------------------------------------------------


def _text(
    seen: Seen,
    content: str | None,
    *,
    finish: str = "stop",
    anthropic_finish: str = "end_turn",
    usage: tuple[int, int, int] = (10, 5, 0),
    model: str | None = None,
) -> Reply:
    if seen.provider == "anthropic":
        blocks = [] if content is None else [{"type": "text", "text": content}]
        return _anthropic(seen, blocks, anthropic_finish, usage, model)
    read, written, cached = usage
    return _json(
        {
            "id": f"chatcmpl-{seen.digest[:12]}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model or seen.body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content},
                    "finish_reason": finish,
                }
            ],
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": written,
                "total_tokens": read + written,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        }
    )


def _anthropic_tool(
    seen: Seen, value: Any, usage: tuple[int, int, int], model: str | None
) -> Reply:
    name = seen.body["tools"][0]["name"]
    block = {"type": "tool_use", "id": f"toolu_{seen.digest[:12]}", "name": name, "input": value}
    return _anthropic(seen, [block], "tool_use", usage, model)


def _anthropic(
    seen: Seen,
    blocks: list[dict[str, Any]],
    finish: str,
    usage: tuple[int, int, int],
    model: str | None,
) -> Reply:
    read, written, cached = usage
    return _json(
        {
            "id": f"msg_{seen.digest[:12]}",
            "type": "message",
            "role": "assistant",
            "model": model or seen.body["model"],
            "content": blocks,
            "stop_reason": finish,
            "stop_sequence": None,
            "usage": {
                "input_tokens": read - cached,
                "output_tokens": written,
                "cache_read_input_tokens": cached,
                "cache_creation_input_tokens": 0,
            },
        }
    )


def _error(
    seen: Seen,
    status: int,
    code: str,
    kind: str,
    headers: Mapping[str, str] | None = None,
    message: str = "",
) -> Reply:
    # Providers quote the request in their errors; ours must never.
    quoted = f"{message or code}: {seen.prompt}"
    if seen.provider == "anthropic":
        body: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": quoted}}
    else:
        body = {"error": {"message": quoted, "type": kind, "param": None, "code": code}}
    return _json(body, status, headers or {})


def _json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status=status, body=json.dumps(body).encode(), headers=headers or {})


# --- The server -----------------------------------------------------------------------------


class ModelServer:
    """Answers, counts and remembers."""

    def __init__(self, behaviour: Behaviour, *, latency: float = 0.0) -> None:
        self.behaviour = behaviour
        self.well = behaviour
        self.latency = latency
        self.port = 0
        self.requests: list[Seen] = []
        self.in_flight = 0
        self.max_in_flight = 0
        self.abandoned = 0
        self.log: TextIO | None = None
        self._held: list[Callable[[], None]] | None = None
        self._script: deque[Behaviour] = deque()
        self._changed = asyncio.Event()
        self._connections: set[_Connection] = set()

    @classmethod
    @asynccontextmanager
    async def start(
        cls, behaviour: Behaviour | None = None, *, latency: float = 0.0, port: int = 0
    ) -> AsyncIterator["ModelServer"]:
        """Listen until the block ends; 0 takes any free port."""
        server = cls(behaviour or good(), latency=latency)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: _Connection(server), HOST, port, backlog=1024, reuse_address=True
        )
        server.port = listener.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            listener.close()
            for connection in list(server._connections):
                connection.abort()
            await listener.wait_closed()

    def base_url(self, provider: str) -> str:
        """What to set as LONGHAUL_LLM__BASE_URL."""
        return f"http://{HOST}:{self.port}" + ("/v1" if provider == "openai" else "")

    def script(self, *behaviours: Behaviour) -> None:
        """Answer the next requests in this way, and then again as before."""
        self._script.extend(behaviours)

    def hold(self) -> None:
        """Hold all answers."""
        self._held = []

    def release(self) -> None:
        """Send the answers that were held."""
        held, self._held = self._held or [], None
        for answer in held:
            answer()

    def when_released(self, answer: Callable[[], None]) -> None:
        """Answer now, or later if answers are kept back."""
        if self._held is None:
            answer()
        else:
            self._held.append(answer)

    def digests(self) -> Counter[str]:
        """How often each body was seen."""
        return Counter(seen.digest for seen in self.requests)

    def repeated(self) -> dict[str, int]:
        """The bodies that were seen more than once."""
        return {digest: count for digest, count in self.digests().items() if count > 1}

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something about this server is true."""
        while not is_so():
            self._changed.clear()
            await self._changed.wait()

    def receive(self, path: str, raw: bytes) -> Reply:
        """Remember a request to a model and decide its answer."""
        seen = Seen(path, json.loads(raw), hashlib.sha256(raw).hexdigest(), time.time())
        self.requests.append(seen)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        reply = (self._script.popleft() if self._script else self.behaviour)(seen)
        if self.log is not None:
            line = {"at": seen.at, "digest": seen.digest, "status": reply.status}
            self.log.write(json.dumps(line) + "\n")
        self._changed.set()
        return reply

    def left(self, *, abandoned: bool) -> None:
        """A request is over, answered or abandoned by its client."""
        self.in_flight -= 1
        self.abandoned += abandoned
        self._changed.set()

    def summary(self) -> dict[str, Any]:
        """The answer of `/requests`."""
        chosen = self.behaviour.chosen if isinstance(self.behaviour, Mix) else {}
        return {
            "total": len(self.requests),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "abandoned": self.abandoned,
            "chosen": dict(chosen),
            "repeated": self.repeated(),
            "requests": dict(self.digests()),
        }

    def control(self, raw: bytes) -> None:
        """Apply what was posted to `/control`."""
        wanted = json.loads(raw)
        if wanted.get("reset"):
            self.requests.clear()
            self.max_in_flight, self.abandoned = self.in_flight, 0
        self.latency = wanted.get("latency", self.latency)
        if "faults" in wanted:
            faults, seed = wanted["faults"], wanted.get("seed", 0)
            self.behaviour = Mix(faults, seed=seed, otherwise=self.well)


class _Connection(asyncio.Protocol):
    """Just enough HTTP/1.1: a head, a Content-Length, one request at a time."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._server._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting:
            self._waiting = False
            self._server.left(abandoned=True)

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        request_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, path, _ = request_line.split(" ", 2)
        self._serve(method, path, rest[:length])

    def _serve(self, method: str, path: str, raw: bytes) -> None:
        match method, path.partition("?")[0]:
            case "POST", ("/v1/chat/completions" | "/v1/messages") as kind:
                self._serve_model(kind, raw)
            case "GET", "/requests":
                self._write(_json(self._server.summary()))
            case "POST", "/control":
                self._server.control(raw)
                self._write(_json({}))
            case _:
                self._write(Reply(status=405))

    def _serve_model(self, path: str, raw: bytes) -> None:
        reply = self._server.receive(path, raw)
        self._waiting = True
        if reply.never:
            return
        latency = self._server.latency if reply.latency is None else reply.latency
        answer = partial(self._server.when_released, partial(self._answer, reply))
        if latency:
            self._timer = asyncio.get_running_loop().call_later(latency, answer)
        else:
            answer()

    def _answer(self, reply: Reply) -> None:
        if not self._waiting:  # the client has left
            return
        self._waiting = False
        self._server.left(abandoned=False)
        if reply.hang_up:
            self._transport.close()
        else:
            self._write(reply)

    def _write(self, reply: Reply) -> None:
        lines = [
            f"HTTP/1.1 {reply.status} Stub",
            "content-type: application/json",
            f"content-length: {len(reply.body)}",
            *(f"{name}: {value}" for name, value in reply.headers.items()),
        ]
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body)


# --- As a process ---------------------------------------------------------------------------


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--log", type=Path, help="one line of JSON for each request")
    parser.add_argument(
        "--answers", default="tests.stubs.rule_answers:answer", help="module:function"
    )
    return parser.parse_args()


async def _serve_until_told(arguments: argparse.Namespace) -> None:
    module, _, name = arguments.answers.partition(":")
    behaviour = good(answers=getattr(importlib.import_module(module), name))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with ModelServer.start(
        behaviour, latency=arguments.latency, port=arguments.port
    ) as server:
        if arguments.log is not None:
            server.log = arguments.log.open("a", buffering=1)
        sys.stdout.write(f"listening on http://{HOST}:{server.port}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve_until_told(_arguments()))
