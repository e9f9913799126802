"""`python -m services.gateway.jobs.tunnel KEY`: the key with which jobs of a cluster open tunnels to this machine.

Makes the key pair KEY and KEY.pub if it is not there, and prints the line for ~/.ssh/authorized_keys of the account
that jobs come to (`[cluster.tunnel]` in cluster.toml). With that line, whoever holds the key can let a port of the
loopback of this machine lead to a job, and nothing else: no command, no terminal, no way from there to anywhere here.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from reafference.errors import BadExperiment, ReafferenceError

from .settings import TunnelSettings

_KEYGEN_S = 20.0
_NOWHERE = 'permitopen="127.0.0.1:1"'
"""What `port-forwarding` allows beside tunnels to here: connections from here, to a port where nobody is."""
_ANY = 'permitlisten="127.0.0.1:*"'
_MOST_NAMED = 200
"""Ports that are named one by one; a line of authorized_keys may not be too long."""


def permit(public_key: str, ports: Iterable[int]) -> str:
    """The line of authorized_keys that lets the holder of this key open tunnels that listen on these ports."""
    named = [f'permitlisten="127.0.0.1:{port}"' for port in ports]
    listens = named if len(named) <= _MOST_NAMED else [_ANY]
    return (
        ",".join(["restrict", "port-forwarding", 'command="/bin/false"', _NOWHERE, *listens]) + f" {public_key.strip()}"
    )


def make_key(key: Path) -> str:
    """The public key of the pair in `key` and `key`.pub, which is made if there is none."""
    public = key.with_name(f"{key.name}.pub")
    try:
        if not key.exists():
            key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "reafference-jobs", "-f", str(key)]
            subprocess.run(command, check=True, capture_output=True, timeout=_KEYGEN_S, stdin=subprocess.DEVNULL)
        return public.read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise BadExperiment(f"{error.filename} is missing: install OpenSSH's client, or name another key") from None
    except subprocess.CalledProcessError as error:
        raise BadExperiment(f"{key} cannot be made: {error.stderr.decode(errors='replace').strip()}") from None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise BadExperiment(f"the key {key} cannot be made or read: {error}") from None


def main() -> int:
    """Print the line for the key on the command line; the exit status."""
    parser = argparse.ArgumentParser(prog="reaf tunnel-key")
    parser.add_argument("key", type=Path)
    parser.add_argument("--ports", default=TunnelSettings.__dataclass_fields__["ports"].default)
    given = parser.parse_args()
    try:
        print(permit(make_key(given.key.absolute()), _range(given.ports)))
    except ReafferenceError as error:
        print(f"reaf: {error.text}", file=sys.stderr)
        return error.exit_status
    return 0


def _range(ports: str) -> range:
    first, _, last = ports.partition("-")
    if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) < 65536):
        raise BadExperiment(f"--ports is {ports!r}, but must be like 23300-23399")
    return range(int(first), int(last) + 1)


if __name__ == "__main__":
    sys.exit(main())
