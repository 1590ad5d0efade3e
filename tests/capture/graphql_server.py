"""A W&B server of the tests' own, on loopback: it serves plain data, and fails as it is told to."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.capture.stored_runs import artifact, file, history_keys, matches, node, parquet, strict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.capture.stored_runs import StoredRun

API_KEY = "0123456789" * 4
_OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")


@dataclass
class Fault:
    """What a request gets in the place of its answer.

    Args:
        status: The HTTP status; 0 breaks the connection off.
        times: How many requests get it; ``None`` is for ever.
        after: How many get their answer before.
        operation: Of which operation; ``None`` is any.
        headers: More headers, such as ``Retry-After``.
        seconds: How long to wait before answering, rightly, where the status is 200.
        errors: The messages of GraphQL errors, with status 200.
        run_id: Of which run; ``None`` is any.
        larger_than: Only pages that are larger.
        body: What to answer in the place of a message.
        is_cut: Whether to hang up in the midst of the answer.
    """

    status: int = 500
    times: int | None = None
    after: int = 0
    operation: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    errors: list[str] = field(default_factory=list)
    run_id: str | None = None
    larger_than: int | None = None
    body: bytes | None = None
    is_cut: bool = False
    _seen: int = 0

    def takes(self, operation: str, variables: dict[str, Any]) -> bool:
        """Tell whether it is this request's turn, and count it."""
        if self.operation not in (None, operation):
            return False
        if self.run_id not in (None, variables.get("run", variables.get("name"))):
            return False
        if self.larger_than is not None and variables.get("pageSize", 0) <= self.larger_than:
            return False
        self._seen += 1
        last = None if self.times is None else self.after + self.times
        return self.after < self._seen and (last is None or self._seen <= last)


class WandBServer:
    """The projects of a server, by ``entity/project``, and what was asked of it."""

    def __init__(self, projects: dict[str, list[StoredRun]]) -> None:
        self.projects = projects
        self.key = API_KEY
        self.faults: list[Fault] = []
        self.asked: Counter[str] = Counter()
        self.pages: list[tuple[str, int, int]] = []
        self.filters: list[dict[str, Any]] = []
        self.url = ""
        self.stopped = threading.Event()
        self.lock = threading.Lock()

    def run(self, variables: dict[str, Any]) -> StoredRun | None:
        """Return the run that the variables of a request name."""
        wanted = variables.get("run") or variables.get("runName") or variables.get("name")
        project = self.projects.get(f"{variables.get('entity')}/{variables.get('project')}", [])
        return next((run for run in project if run.id == wanted), None)

    def forget(self) -> None:
        """Start over: without projects, faults, and memory of what was asked."""
        self.key = API_KEY
        for everything in (self.projects, self.faults, self.asked, self.pages, self.filters):
            everything.clear()

    def fail(self, status: int = 500, **how: Any) -> None:
        """Fail from now on; the arguments are those of :class:`Fault`."""
        self.faults.append(Fault(status, **how))

    def data(self, operation: str, variables: dict[str, Any]) -> Any:
        """Return what the server answers to an operation."""
        answer: Callable[[dict[str, Any]], Any] | None = getattr(self, f"_{operation}", None)
        if answer is None:
            raise LookupError(f"the test's server does not know {operation}")
        return answer(variables)

    def _Viewer(self, _variables: dict[str, Any]) -> Any:  # noqa: N802 - named by W&B
        viewer = {"id": "VXNlcjox", "name": "a", "username": "a", "entity": "team", "flags": "{}"}
        return {"viewer": viewer | {"teams": {"edges": []}}}

    _GetViewer = _GetDefaultEntity = _Viewer

    def _ServerFeaturesQuery(self, _variables: dict[str, Any]) -> Any:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _Runs(self, variables: dict[str, Any]) -> Any:  # noqa: N802
        name = f"{variables['entity']}/{variables['project']}"
        if name not in self.projects:
            return {"project": None}
        filters = json.loads(variables["filters"])
        self.filters.append(filters)
        found = [run for run in self.projects[name] if matches(run, filters)]
        found.sort(key=lambda run: run.created_at or "")
        start = int(variables.get("cursor") or 0)
        page = found[start : start + variables["perPage"]]
        edges = [
            {"node": node(run), "cursor": str(start + at)} for at, run in enumerate(page, start=1)
        ]
        more = start + len(page) < len(found)
        pages = {"endCursor": str(start + len(page)), "hasNextPage": more}
        return {
            "project": {
                "internalId": "1",
                "runCount": len(found),
                "readOnly": True,
                "runs": {"edges": edges, "pageInfo": pages},
            }
        }

    def _Run(self, variables: dict[str, Any]) -> Any:  # noqa: N802
        run = self.run(variables)
        return {"project": {"run": node(run) if run else None}}

    def _RunHistoryKeys(self, variables: dict[str, Any]) -> Any:  # noqa: N802
        run = self.run(variables)
        return {"project": {"run": run and {"historyKeys": history_keys(run)}}}

    def _RunParquetHistory(self, variables: dict[str, Any]) -> Any:  # noqa: N802
        run = self.run(variables)
        if run is None:
            return {"project": {"run": None}}
        history: dict[str, Any] = {"parquetUrls": [], "liveData": []}
        if run.exported is not None:
            history["parquetUrls"] = [f"{self.url}/parquet/{run.id}/0000.parquet"]
            live = run.exported if run.live_from is None else run.live_from
            history["liveData"] = [strict(row) for row in run.rows[live:]]
        return {"project": {"run": {"parquetHistory": history}}}

    def _HistoryPage(self, variables: dict[str, Any]) -> Any:  # noqa: N802
        run = self.run(variables)
        if run is None:
            return {"project": {"run": None}}
        low, high = variables["minStep"], variables["maxStep"]
        with self.lock:
            self.pages.append((run.id, low, high))
        places = ((row.get("_step", place), row) for place, row in enumerate(run.rows))
        rows = [row for step, row in places if low <= step < high]
        found = [json.dumps(strict(row)) for row in rows[: variables["pageSize"]]]
        return {"project": {"run": {"history": found}}}

    def _RunFiles(self, variables: dict[str, Any]) -> Any:  # noqa: N802
        run = self.run(variables)
        names = variables.get("fileNames") or []
        found = [name for name in (run.files if run else ()) if not names or name in names]
        start = int(variables.get("fileCursor") or 0)
        page = found[start : start + variables.get("fileLimit", 50)]
        edges = [
            {"node": file(self.url, run, name), "cursor": str(at)}  # type: ignore[arg-type]
            for at, name in enumerate(page, start=start + 1)
        ]
        more = start + len(page) < len(found)
        files = {"edges": edges, "pageInfo": {"endCursor": "", "hasNextPage": more}}
        return {"project": {"internalId": "1", "run": {"fileCount": len(found), "files": files}}}

    def _RunOutputArtifacts(self, variables: dict[str, Any]) -> Any:  # noqa: N802
        return self._connection(variables, "output")

    def _RunInputArtifacts(self, variables: dict[str, Any]) -> Any:  # noqa: N802
        return self._connection(variables, "input")

    def _connection(self, variables: dict[str, Any], role: str) -> Any:
        run = self.run(variables)
        found = [one for one in (run.artifacts if run else []) if one.get("role", "output") == role]
        edges = [{"node": artifact(one)} for one in found]
        connection = {
            "totalCount": len(edges),
            "pageInfo": {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False},
            "edges": edges,
        }
        return {"project": {"run": {"artifacts": connection}}}

    def file(self, path: str) -> bytes | None:
        """Return the bytes of a file that was named in an answer."""
        kind, run_id, name = unquote(path).lstrip("/").split("/", 2)
        found = [run for runs in self.projects.values() for run in runs if run.id == run_id]
        if not found:
            return None
        return parquet(found[0]) if kind == "parquet" else found[0].files.get(name)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer takes 40 ms
    wandb: WandBServer

    def do_POST(self) -> None:
        server = self.wandb
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length)
        if self.path != "/graphql":  # such as telemetry
            self._send(404, b"")
            return
        body = json.loads(sent)
        named = _OPERATION.search(body.get("query", ""))
        operation = body.get("operationName") or (named.group(1) if named else "")
        variables = body.get("variables") or {}
        with server.lock:
            server.asked[operation] += 1
            fault = next((one for one in server.faults if one.takes(operation, variables)), None)
        if fault is not None and self._failed(fault):
            return
        if not self._is_known():
            self._send(401, json.dumps({"errors": [{"message": "user is not logged in"}]}).encode())
            return
        try:
            answer: dict[str, Any] = {"data": server.data(operation, variables)}
        except LookupError as error:
            answer = {"errors": [{"message": str(error)}]}
        self._send(200, json.dumps(answer).encode())

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.wandb.lock:
            self.wandb.asked[path] += 1
            fault = next((one for one in self.wandb.faults if one.takes(path, {})), None)
        if fault is not None and self._failed(fault):
            return
        found = self.wandb.file(path) if path.count("/") >= 3 else None
        self._send(404 if found is None else 200, found or b"")

    do_HEAD = do_GET  # noqa: N815

    def _is_known(self) -> bool:
        import base64

        given = self.headers.get("Authorization", "").partition(" ")[2]
        return base64.b64decode(given).decode().endswith(f":{self.wandb.key}")

    def _failed(self, fault: Fault) -> bool:
        """Do what the fault says, and tell whether that was the answer."""
        if fault.seconds:
            self.wandb.stopped.wait(fault.seconds)
        if fault.errors:
            told = [{"message": message} for message in fault.errors]
            self._send(200, json.dumps({"errors": told, "data": None}).encode())
            return True
        if fault.status == 0:
            self.close_connection = True
            self.connection.close()
            return True
        if fault.status == 200 and fault.body is None:
            return False
        message = json.dumps({"errors": [{"message": f"told to fail with {fault.status}"}]})
        body = message.encode() if fault.body is None else fault.body
        self._send(fault.status, body, fault.headers, missing=int(fault.is_cut))
        if fault.is_cut:
            self.close_connection = True
        return True

    def _send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, missing: int = 0
    ) -> None:
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body) + missing))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:
            self.close_connection = True  # a client that gave up

    def log_message(self, *_arguments: object) -> None:
        pass  # what was asked is counted


@contextmanager
def serving(**projects: list[StoredRun]) -> Iterator[WandBServer]:
    """Serve projects of ``team`` on a free port of loopback until the block ends.

    Args:
        projects: For each project its runs.

    Yields:
        The server; its ``url`` is for ``WANDB_BASE_URL``.
    """
    state = WandBServer({f"team/{name}": runs for name, runs in projects.items()})
    handler = type("Handler", (_Handler,), {"wandb": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
