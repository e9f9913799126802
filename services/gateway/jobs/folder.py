"""The folder of a job on a cluster: all that it needs to begin, private to its user."""

import os
import shutil
from pathlib import Path

from reafference import keys, stand
from reafference.errors import BadExperiment

from ..people import People
from . import certificate
from .request import Request, Tunnel
from .script import render

SCRIPT = "job.sh"
TOKEN = "token"
LOG = "log"
END = "end"
"""A file of this name in the folder asks the job to end in order, wherever the scheduler has no signal for it."""

_HOME = "home"
_KEYS = "keys"
_TUNNEL = "tunnel"
_DOOR = "door"
_HERE = Path(__file__).parent
# What the script takes with it, and the name it has there.
_COPIES = {
    Path(stand.__file__): "stand.py",
    _HERE / "host.py": "host.py",
    _HERE / "tunnel.sh": "tunnel.sh",
}


def prepare_folder(request: Request, folder: Path) -> None:
    """Make `folder` (0700) with job.sh, stand.py, token, keys/, door/, home/, and tunnel/ where there is one.

    Raises BadExperiment when it exists already, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise BadExperiment(f"the job's folder {folder} exists already: take another id") from None
    except OSError as error:
        raise BadExperiment(f"the job's folder {folder} cannot be made: {error.strerror}") from None
    try:
        _fill(request, folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        what = f"the job's folder {folder} cannot be filled"
        raise BadExperiment(f"{what}: {error.strerror} ({error.filename})") from None


def read_token(folder: Path) -> str:
    """The token of the administrator of the job's gateway."""
    return (folder / TOKEN).read_text(encoding="ascii").strip()


def read_certificate(folder: Path) -> str:
    """The certificate of the job's gateway, in PEM."""
    return (folder / _DOOR / certificate.CERTIFICATE).read_text(encoding="ascii")


def _fill(request: Request, folder: Path) -> None:
    (folder / _HOME).mkdir(mode=0o700)
    token = People(folder / _HOME / "tokens.json").make("site", "admin")[1]
    _write(folder / TOKEN, token + "\n")
    _write(folder / SCRIPT, render(request))
    for source, name in _COPIES.items():
        _write(folder / name, source.read_text(encoding="utf-8"))
    keys.make(folder / _KEYS, ranks=request.ranks)
    certificate.make(folder / _DOOR, request.id)
    if request.reach == "tunnel" and request.tunnel is not None:
        _copy_keys(request.tunnel, folder / _TUNNEL)


def _copy_keys(tunnel: Tunnel, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for name, source in (("key", tunnel.key), ("known_hosts", tunnel.known_hosts)):
        _write(folder / name, Path(source).read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    """A file that nobody else may read, from its first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
