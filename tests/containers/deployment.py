"""The platform as `docker compose up` makes it, as a project of its own, and how a test breaks parts of it."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

import reafference.client
from reafference import __version__

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("brain", "body", "recorder", "engine", "gateway")
SMALL = {"area_mm2": 0.02}
LIMIT_S = 90.0
_COMMAND_S = 240.0
_KILL = """
import os, sys
wanted = b"-m\\0" + sys.argv[1].encode() + b"\\0"
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        command = open("/proc/" + pid + "/cmdline", "rb").read()
    except OSError:
        continue
    if wanted in command and int(pid) != os.getpid():
        os.kill(int(pid), int(sys.argv[2]))
        print(pid)
"""


def docker(*arguments: str, check: bool = True) -> str:
    """What the command line of the engine says."""
    return _said(["docker", *arguments], None, check=check)


def compose_command() -> tuple[str, ...]:
    """Compose 2, or 1.29; REAF_COMPOSE names one ("docker-compose")."""
    if given := os.environ.get("REAF_COMPOSE"):
        return tuple(given.split())
    found = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=60)
    return ("docker", "compose") if found.returncode == 0 else ("docker-compose",)


def missing() -> str:
    """What these tests lack, in a sentence; empty if nothing."""
    if shutil.which("docker") is None:
        return "there is no docker: deploy/start-docker installs it"
    if subprocess.run(["docker", "info"], capture_output=True, timeout=60).returncode:
        return "no container engine answers: deploy/start-docker starts one"
    for service in SERVICES:
        if not docker("image", "ls", "-q", image(service)).strip():
            return f"there is no image {image(service)}: make images"
    return ""


def image(service: str) -> str:
    return f"reafference-{service}:{__version__}"


def until(holds: Callable[[], Any], what: str, patience_s: float = LIMIT_S) -> Any:
    """What `holds` returns, once that is something; the test fails with `what` if it never is."""
    end = time.monotonic() + patience_s
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {patience_s:g} s: {what}"
        time.sleep(0.1)
    return found


@dataclass
class Deployment:
    """One project of Compose on a free port of this machine. `token` is the administrator's, from a secret."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"reaf-test-{secrets.token_hex(4)}")
    token: str = field(default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        file = self.folder / "admin_token"
        file.write_text(self.token)
        # Whoever runs the tests need not be the user of the services.
        file.chmod(0o644)
        self.folder.chmod(0o755)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("REAF_", "COMPOSE_"))},
            "COMPOSE_PROJECT_NAME": self.name,
            "REAF_PORT": str(self.port),
            "REAF_TOKEN_FILE": str(file),
            **self.settings,
        }

    # --- whole ----------------------------------------------------------------------------------------------

    def compose(self, *arguments: str, check: bool = True) -> str:
        return _said([*compose_command(), *arguments], self.environment, check=check)

    def up(self, *services: str) -> None:
        """Start it, and wait until everything is well."""
        self.compose("up", "-d", "--no-build", *services)
        self.await_healthy(*services)

    def await_healthy(self, *services: str) -> None:
        for service in services or SERVICES:
            until(lambda service=service: self.health(service) == "healthy", f"{service} is healthy")
        until(self.answers, "the page answers")

    def down(self) -> None:
        """Take away all of it, and see that nothing is left."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "20")
        assert self.left() == []

    def left(self) -> list[str]:
        """What of this project is there: containers, networks, volumes."""
        label = f"label=com.docker.compose.project={self.name}"
        lists = (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"))
        return [one for command in lists for one in docker(*command, "--filter", label).split()]

    def clean_up(self) -> None:
        """As `down`, whatever state it is in."""
        for container in docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}").split():
            docker("unpause", container, check=False)
            docker("rm", "--force", "--volumes", container, check=False)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1", check=False)

    # --- parts ----------------------------------------------------------------------------------------------

    def container(self, service: str) -> str:
        found = docker(
            *("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}"),
            *("--filter", f"label=com.docker.compose.service={service}"),
        )
        assert len(found.split()) == 1, f"{service}: {found.split()}"
        return found.strip()

    def inspected(self, service: str) -> dict[str, Any]:
        return dict(json.loads(docker("inspect", self.container(service)))[0])

    def health(self, service: str) -> str:
        state = self.inspected(service)["State"]
        return str(state.get("Health", {}).get("Status", "")) if state["Running"] else str(state["Status"])

    def started_at(self, service: str) -> str:
        return str(self.inspected(service)["State"]["StartedAt"])

    def network(self) -> str:
        """Of those who simulate."""
        return f"{self.name}_inside"

    def inside(self, service: str, *command: str, check: bool = True) -> str:
        """What a command says in a container."""
        return docker("exec", self.container(service), *command, check=check)

    def kill_process(self, service: str, module: str, number: int = signal.SIGKILL) -> None:
        """End `python -m MODULE` in a container, once it is there."""
        until(
            lambda: self.inside(service, "python", "-S", "-c", _KILL, module, str(int(number)), check=False).strip(),
            f"{module} runs in {service}",
        )

    def kill_container(self, service: str) -> None:
        """As a crash: its first process is killed from outside, which Docker takes for no order of ours."""
        before = self.started_at(service)
        os.kill(int(self.inspected(service)["State"]["Pid"]), signal.SIGKILL)
        until(lambda: self.started_at(service) != before, f"{service} is started anew")

    def logs(self) -> str:
        return self.compose("logs", "--no-color", check=False)

    # --- as people use it -------------------------------------------------------------------------------------

    def answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(self.url, timeout=5).status_code == 200
        return False

    def session(self) -> "reafference.client.Session":
        return reafference.client.connect(self.url, self.token)

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """What the server answers below /api; fails where it refuses."""
        answer = httpx.request(
            method,
            f"{self.url}/api/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token or self.token}"},
            timeout=120,
        )
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def state(self, simulation: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"simulations/{simulation}"))


@contextlib.contextmanager
def deployed(folder: Path, **settings: str) -> Iterator[Deployment]:
    """One that is up; nothing of it is left, and what it said is shown if the test fails."""
    made = Deployment(folder, settings)
    try:
        made.up()
        yield made
    except BaseException:
        print(made.compose("ps", check=False), made.logs(), file=sys.stderr)
        raise
    finally:
        made.clean_up()
        assert made.left() == []


def local_digest(folder: Path, steps: int, *more: str) -> str:
    """Of the same run without containers; `more` are further options of `reaf run`."""
    command = [
        *(sys.executable, "-m", "reafference.cli", "run", str(ROOT / "experiments" / "mouse_reach")),
        *("--set", f"area_mm2={SMALL['area_mm2']}", "--steps", str(steps), "--out", str(folder / "local"), *more),
    ]
    _said(command, None, check=True)
    return str(json.loads((folder / "local" / "summary.json").read_text())["digest"])


def _said(command: list[str], environment: dict[str, str] | None, *, check: bool) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_S
    )
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
