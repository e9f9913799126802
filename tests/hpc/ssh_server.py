"""An ssh server of its own for tests: the machine that jobs open their tunnels to."""

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

from services.gateway.jobs import tunnel

SETTINGS = """\
Port {port}
ListenAddress {host}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
ClientAliveInterval 3
ClientAliveCountMax 2
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as door:
        return door.getsockname()[1]


def answers(port, host="127.0.0.1"):
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it has not become true"
        time.sleep(0.05)
    return found


class SshServer:
    """The ssh server of the site's machine, which knows one key, for tunnels to one port."""

    def __init__(self, folder: Path, host="127.0.0.1", ports=()):
        """`ports` are those that tunnels may listen on; one that is free where none are given."""
        self.folder, self.host, self.port = folder, host, free_port()
        self.listen = ports[0] if ports else free_port()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True)
        self.key = folder / "key"
        line = tunnel.permit(tunnel.make_key(self.key), ports or [self.listen])
        (folder / "authorized_keys").write_text(line + "\n")
        (folder / "sshd_config").write_text(SETTINGS.format(host=host, port=self.port, folder=folder))

    def known_hosts(self, port):
        """A file in which this server is known at a port."""
        file = self.folder / f"known_hosts-{port}"
        kind, key = (self.folder / "host_key.pub").read_text().split()[:2]
        file.write_text(f"[{self.host}]:{port} {kind} {key}\n")
        return file

    def __enter__(self):
        Path("/run/sshd").mkdir(exist_ok=True)
        command = [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "sshd_config"]
        self._log = (self.folder / "sshd.log").open("wb")
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        until(lambda: answers(self.port, self.host))
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait(20)
        self._log.close()
