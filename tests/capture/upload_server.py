"""A W&B server of the tests' own, on loopback, that takes what ``wandb sync`` uploads."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")
_ENTITY = "team"


class Uploads:
    """What one server got.

    Attributes:
        runs: What was said of each run, by its id.
        rows: The rows of its history.
        summaries: Its newest summary.
        exit_codes: How it ended.
        files: The bytes of each file.
    """

    def __init__(self) -> None:
        self.url = ""
        self.runs: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.summaries: dict[str, dict[str, Any]] = {}
        self.exit_codes: dict[str, int] = {}
        self.files: dict[str, bytes] = {}

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        if operation == "UpsertBucket":
            known = self.runs.setdefault(variables["name"], {})
            known |= {key: value for key, value in variables.items() if value is not None}
            entity = {"id": "RQ==", "name": variables["entity"] or _ENTITY}
            bucket = {
                "id": "UnVu",
                "name": variables["name"],
                "displayName": variables["displayName"],
                "config": "{}",
                "project": {"id": "UHJv", "name": variables["project"], "entity": entity},
                "historyLineCount": 0,
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if operation == "CreateRunFiles":
            files = [
                {"name": name, "uploadUrl": f"{self.url}/upload/{name}"}
                for name in variables["files"]
            ]
            return {"createRunFiles": {"runID": "UnVu", "uploadHeaders": [], "files": files}}
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        if operation in ("Viewer", "GetViewer", "GetDefaultEntity"):
            viewer = {"id": "VXNlcjox", "name": "a", "username": "a", "entity": _ENTITY}
            return {"viewer": viewer | {"flags": "{}", "teams": {"edges": []}}}
        return {}

    def take_stream(self, run_id: str, sent: dict[str, Any]) -> None:
        files = sent.get("files") or {}
        if "wandb-history.jsonl" in files:
            lines = files["wandb-history.jsonl"]["content"]
            self.rows.setdefault(run_id, []).extend(map(json.loads, lines))
        if "wandb-summary.json" in files:
            self.summaries[run_id] = json.loads(files["wandb-summary.json"]["content"][-1])
        if sent.get("complete"):
            self.exit_codes[run_id] = sent["exitcode"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    uploads: Uploads

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        answer: Any = {}
        if self.path == "/graphql":
            asked = json.loads(body)
            named = _OPERATION.search(asked["query"])
            operation = named[1] if named else ""
            answer = {"data": self.uploads.answer(operation, asked.get("variables") or {})}
        elif self.path.endswith("/file_stream"):
            self.uploads.take_stream(self.path.split("/")[-2], json.loads(body))
        self._send(json.dumps(answer).encode())

    def do_PUT(self) -> None:
        self.uploads.files[self.path.removeprefix("/upload/")] = self._body()
        self._send(b"")

    def do_GET(self) -> None:
        self._send(b"{}")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def upload_server() -> Iterator[Uploads]:
    """Run a server while the block runs."""
    uploads = Uploads()
    handler = type("Handler", (_Handler,), {"uploads": uploads})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        uploads.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield uploads
        finally:
            server.shutdown()
            thread.join()


def wandb_command(*arguments: str, home: Path, url: str = "") -> str:
    """Run the client's own command, which cannot reach anything but loopback.

    Returns:
        What it printed on standard output and standard error.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    kept |= {"HOME": str(home), "WANDB_BASE_URL": url or "http://127.0.0.1:9"}
    kept |= {"WANDB_API_KEY": "0123456789" * 4, "WANDB_ERROR_REPORTING": "false"}
    done = subprocess.run(
        [sys.executable, "-m", "wandb", *arguments],
        env=kept, capture_output=True, text=True, timeout=90, check=True, cwd=home,
    )  # fmt: skip
    return done.stdout + done.stderr
