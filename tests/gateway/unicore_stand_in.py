"""A stand-in for a UNICORE site, written from UNICORE's public documentation of its REST interface.

It is no UNICORE. It has the resources that a client of jobs and files needs, checks the login, and really runs what it
is given: by a shell of its own on this machine, or (`batch="slurm"`) by sbatch, with the lines of the "BSS file" in
front, as the documentation says of jobs of the type RAW.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SITE = "/TEST/rest/core"
_ENDED = ("SUCCESSFUL", "FAILED")


class UnicoreJob:
    """A job and its working directory."""

    def __init__(self, id: str, description: dict[str, Any], folder: Path, batch: str) -> None:
        self.id, self.description, self.folder, self.batch = id, description, folder, batch
        self.submitted = datetime.now(UTC)
        self.started = self.aborted = False
        self.process: subprocess.Popen[bytes] | None = None
        self.number = ""

    def start(self, path: str) -> None:
        """Run it: with the lines for the batch system in front of the command."""
        self.started = True
        head = (self.folder / self.description["BSS file"]).read_text()
        command = self.description["Executable"]
        text = f"{head}\ncd {self.folder}\n{command} >stdout 2>stderr\necho $? >.exit\nexit $(cat .exit)\n"
        script = self.folder / ".unicore"
        script.write_text(text)
        environment = {"PATH": path, "HOME": os.environ.get("HOME", "/")}
        if self.batch == "slurm":
            told = subprocess.run(
                ["sbatch", "--parsable", f"--output={self.folder}/.batch", str(script)],
                env=environment | {"SLURM_CONF": os.environ["SLURM_CONF"]},
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            )
            self.number = told.stdout.strip()
        else:
            self.process = subprocess.Popen(["/bin/bash", str(script)], env=environment, process_group=0)

    def abort(self) -> None:
        self.aborted = True
        if self.number:
            subprocess.run(["scancel", self.number], timeout=30, check=False)
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def status(self) -> str:
        if not self.started:
            return "FAILED" if self.aborted else "READY"
        if self.aborted:
            return "FAILED"
        word = self._batch_state()
        if word != "over":
            return word
        return "SUCCESSFUL" if self.exit_code == "0" else "FAILED"

    def _batch_state(self) -> str:
        if self.process is not None:
            return "RUNNING" if self.process.poll() is None else "over"
        told = subprocess.run(
            ["squeue", "-h", "-t", "all", "-o", "%T", "-j", self.number], capture_output=True, text=True, timeout=30
        )
        words = told.stdout.strip()
        return {"PENDING": "QUEUED", "RUNNING": "RUNNING", "COMPLETING": "RUNNING"}.get(words, "over")

    @property
    def exit_code(self) -> str | None:
        try:
            return (self.folder / ".exit").read_text().strip() or None
        except OSError:
            return None

    def properties(self, base: str) -> dict[str, Any]:
        url = f"{base}/jobs/{self.id}"
        status = self.status
        known = {
            "status": status,
            "statusMessage": "Job was aborted by the user." if self.aborted else "",
            "submissionTime": self.submitted.strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "name": self.description.get("Name", "N/A"),
            "tags": self.description.get("Tags", []),
            "queue": "N/A",
            "batchSystemID": self.number or "N/A",
            "log": [],
            "_links": {
                "self": {"href": url},
                "action:start": {"href": f"{url}/actions/start"},
                "action:abort": {"href": f"{url}/actions/abort"},
                "workingDirectory": {"href": f"{base}/storages/{self.id}-uspace"},
            },
        }
        if status in _ENDED and self.exit_code is not None:
            known["exitCode"] = self.exit_code
        return known


class UnicoreStandIn:
    """The site. `token` is what its only user shows; `path` the PATH of its jobs. Use it in a `with`."""

    def __init__(self, folder: Path, *, path: str = os.environ["PATH"], batch: str = "shell") -> None:
        self.folder, self.path, self.batch = folder, path, batch
        self.token = secrets.token_hex(8)
        self.jobs: dict[str, UnicoreJob] = {}
        self.silent = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{SITE}"

    def __enter__(self) -> "UnicoreStandIn":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for job in self.jobs.values():
            job.abort()

    def make(self, description: dict[str, Any]) -> UnicoreJob:
        id = secrets.token_hex(8)
        folder = self.folder / id
        folder.mkdir(parents=True, mode=0o700)
        made = self.jobs[id] = UnicoreJob(id, description, folder, self.batch)
        return made


class _Refusal(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _handler(site: UnicoreStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *words: Any) -> None:
            """Nobody reads it."""

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def do_PUT(self) -> None:
            self._answer("PUT")

        def do_DELETE(self) -> None:
            self._answer("DELETE")

        def _answer(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                if site.silent:
                    raise _Refusal(503, "The service is not available")
                if self.headers.get("Authorization") != f"Bearer {site.token}":
                    raise _Refusal(401, "Authentication failed")
                place = urlsplit(self.path)
                parts = [unquote(part) for part in place.path.removeprefix(SITE).strip("/").split("/")]
                status, content, headers = self._handled(method, parts, parse_qs(place.query), body)
            except _Refusal as refusal:
                content = json.dumps({"status": refusal.status, "errorMessage": str(refusal)}).encode()
                status, headers = refusal.status, {}
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _handled(
            self, method: str, parts: list[str], query: dict[str, list[str]], body: bytes
        ) -> tuple[int, bytes, dict[str, str]]:
            match method, parts:
                case "GET", [""]:
                    return self._json(_site(site))
                case "GET", ["jobs"]:
                    tags = set(",".join(query.get("tags", [])).split(",")) - {""}
                    found = [job for job in site.jobs.values() if tags <= set(job.description.get("Tags", []))]
                    return self._json({"jobs": [f"{site.url}/jobs/{job.id}" for job in found]})
                case "POST", ["jobs"]:
                    job = site.make(json.loads(body))
                    return 201, b"", {"Location": f"{site.url}/jobs/{job.id}"}
                case "GET", ["jobs", id]:
                    return self._json(self._job(id).properties(site.url))
                case "DELETE", ["jobs", id]:
                    self._job(id).abort()
                    del site.jobs[id]
                    return 204, b"", {}
                case "POST", ["jobs", id, "actions", "start"]:
                    self._job(id).start(site.path)
                    return self._json({})
                case "POST", ["jobs", id, "actions", "abort"]:
                    self._job(id).abort()
                    return self._json({})
                case "GET", ["factories"]:
                    return self._json({"factories": [f"{site.url}/factories/default"]})
                case "GET", ["factories", "default"]:
                    return self._json({"resources": {"batch": {"Nodes": "1-16:1", "Runtime": "60-7200:3600"}}})
                case _, ["storages", name, "files", *path]:
                    return self._file(method, self._job(name.removesuffix("-uspace")).folder.joinpath(*path), body)
            raise _Refusal(404, "No such resource")

        def _job(self, id: str) -> UnicoreJob:
            if id not in site.jobs:
                raise _Refusal(404, "No such job")
            return site.jobs[id]

        def _file(self, method: str, path: Path, body: bytes) -> tuple[int, bytes, dict[str, str]]:
            if method == "PUT":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
                return 204, b"", {}
            if method != "GET" or not path.is_file():
                raise _Refusal(404, "No such file")
            if self.headers.get("Accept") == "application/json":
                return self._json({"isDirectory": False, "size": path.stat().st_size})
            content = path.read_bytes()
            if given := self.headers.get("Range"):
                return 206, content[int(given.removeprefix("bytes=").split("-")[0]) :], {}
            return 200, content, {}

        def _json(self, value: Any) -> tuple[int, bytes, dict[str, str]]:
            return 200, json.dumps(value).encode(), {"Content-Type": "application/json"}

    return Handler


def _site(site: UnicoreStandIn) -> dict[str, Any]:
    return {
        "client": {"role": {"selected": "user"}, "xlogin": {"UID": "me", "group": "projects"}},
        "server": {"version": "10.1.0"},
        "_links": {name: {"href": f"{site.url}/{name}"} for name in ("jobs", "factories", "storages")},
    }
