"""A server of experiments in this process, and people who knock at it."""

import hashlib
import io
import os
import threading
import time
import zipfile
from pathlib import Path

import httpx
import uvicorn

from services.gateway.app import make_server
from services.gateway.house import Gateway
from services.gateway.pages import Web
from services.gateway.people import People
from services.gateway.remote.job_servers import no_jobs
from services.gateway.serve import bound, settings
from services.gateway.simulations import Simulations
from services.gateway.storage import Storage
from services.gateway.templates import Templates
from services.gateway.tools import Tools

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
ROLES = {"vera": "viewer", "otto": "owner", "olga": "owner", "ada": "admin"}

TOML = """\
[experiment]
name = "small"
title = "A small one"
steps = 10

[body]
model = "mouse_forelimb"

[transfer]
file = "transfer.py"
"""
TRANSFER = '''\
from reafference import transfer


@transfer(writes="body.Foot2")
def push(t: float) -> float:
    """Half of all it can."""
    return 0.5
'''
SMALL = {"experiment.toml": TOML, "transfer.py": TRANSFER}


class Door:
    """A server with a home of its own, a client for each person of ROLES, and `nobody` without a token."""

    def __init__(self, home, *, tokens=True, web=None, places=1, serving=no_jobs):
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.people = People(home / "tokens.json") if tokens else People.everyone()
        self.storage = Storage(home)
        self.secrets = {name: self.people.make(name, role)[1] for name, role in ROLES.items()} if tokens else {}
        self.gateway = Gateway(
            people=self.people,
            storage=self.storage,
            templates=Templates(ROOT / "experiments"),
            simulations=Simulations(self.storage, places),
            tools=Tools(),
            web=web or Web(),
            serving=serving,
        )
        self.app = make_server(self.gateway)
        self._socket = bound("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(settings(self.app))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._clients = []

    def __enter__(self):
        self._thread.start()
        deadline = time.monotonic() + PATIENCE_S
        while not self._server.started:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.nobody = self.client(None)
        for name, secret in self.secrets.items():
            setattr(self, name, self.client(secret))
        return self

    def __exit__(self, *exception):
        for client in self._clients:
            client.close()
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def client(self, secret):
        """Somebody who shows this token."""
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        made = httpx.Client(base_url=f"{self.url}/api", headers=headers, timeout=PATIENCE_S)
        self._clients.append(made)
        return made

    def tree(self):
        """Every folder and file below the home, with a digest of each file: the same as long as nothing has changed."""
        found = {}
        for where, _, names in os.walk(self.home):
            found[where] = ""
            for name in names:
                file = Path(where) / name
                content = os.readlink(file).encode() if file.is_symlink() else file.read_bytes()
                found[str(file)] = hashlib.sha256(content).hexdigest()
        return found


def zip_of(files):
    """A zip file of texts or bytes by path."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, content in files.items():
            zipped.writestr(path, content)
    return buffer.getvalue()
