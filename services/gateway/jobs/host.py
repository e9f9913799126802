"""What a job's script on a cluster leaves to the Python of the host: standard library only, Python 3.6 or later.

python3 host.py address NODE          the address of this host on the way to NODE
python3 host.py announced LINE        host and port out of what the gateway says when it serves
python3 host.py close URL TOKEN CERT S   stop all simulations of the gateway at URL and wait for their end, S seconds
"""

import json
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

ENDED = ("stopped", "halted", "failed")
ANSWER_S = 10.0
TURN_S = 0.2


def address(node: str) -> str:
    """Nothing is sent: connecting a datagram socket only looks up the route."""
    family, kind, _, _, place = socket.getaddrinfo(node, 9, socket.AF_INET, socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(place)
        return str(probe.getsockname()[0])


def announced(line: str) -> str:
    """Host and port in one line."""
    place = urlsplit(json.loads(line)["url"])
    return f"{place.hostname} {place.port}"


def close(url: str, token_file: str, certificate: str, limit_s: float) -> bool:
    """Whether nothing runs any more: a run that is stopped keeps its place until its recording is complete."""
    with open(token_file) as file:
        token = file.read().strip()
    # This one certificate is believed, and no other; the node's name is not in it.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.load_verify_locations(certificate)
    door = Door(url, token, tls)
    until = time.monotonic() + limit_s
    asked: set[str] = set()  # not evaluated, so it needs no newer Python
    while time.monotonic() < until:
        for one in door.ask("GET", "simulations"):
            if one["state"] not in ENDED and one["id"] not in asked and door.stop(one["id"]):
                asked.add(one["id"])
        if not any(server["busy"] for server in door.ask("GET", "servers")):
            return True
        time.sleep(TURN_S)
    return False


class Door:
    """The gateway of this job."""

    def __init__(self, url: str, token: str, tls: ssl.SSLContext) -> None:
        self._url, self._token = url.rstrip("/"), token
        # Within the job's own network no proxy is wanted.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
        )

    def stop(self, simulation: str) -> bool:
        """Whether it was told; one that is being built may not listen yet."""
        try:
            self.ask("PUT", f"simulations/{simulation}/state", {"state": "stopped"})
        except urllib.error.HTTPError:
            return False
        return True

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Its answer."""
        request = urllib.request.Request(f"{self._url}/api/{path}", method=method)
        request.add_header("Authorization", "Bearer " + self._token)
        data = None
        if body is not None:
            request.add_header("Content-Type", "application/json")
            data = json.dumps(body).encode()
        with self._opener.open(request, data, ANSWER_S) as answer:
            return json.loads(answer.read().decode() or "null")


def main(*words: str) -> int:
    if words[0] == "address":
        print(address(words[1]))
    elif words[0] == "announced":
        print(announced(words[1]))
    elif words[0] == "close":
        return 0 if close(words[1], words[2], words[3], float(words[4])) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
