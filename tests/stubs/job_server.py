"""An API by script: it answers each request with the next answer, and then with the last."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Stands for a connection that is closed without an answer.
GONE = None

Answer = tuple[int, Any] | None


class JobServer(ThreadingHTTPServer):
    """Notes the headers and paths that it is asked with."""

    def __init__(self, script: Sequence[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._script = list(script)
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        self.asked.append((path, headers))
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]


class _Handler(BaseHTTPRequestHandler):
    server: JobServer

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.next_answer(self.path, headers)
        if answer is GONE:
            self.close_connection = True
            return
        status, content = answer
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the names of the base class

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def serving(*script: Answer) -> Iterator[JobServer]:
    server = JobServer(script)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
