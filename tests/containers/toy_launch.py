"""Stands in for a run where only its set of containers is tested: `services.engine.launch_bare` of the toy images.

Arguments: what it does, one after the other. `say TEXT`, `show` (what it sees of its container), `wait` (until
SIGTERM), `stubborn` (SIGTERM is nothing to it from now on), `end STATUS`.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path


def say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def show() -> None:
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    facts = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    try:
        Path("/opt/written").write_text("", encoding="ascii")
        writable = True
    except OSError:
        writable = False
    stands = Path(os.environ["REAF_STANDS"])
    say(
        "shown",
        stands=str(stands),
        beside=sorted(path.name for path in stands.iterdir()),
        host=socket.gethostname(),
        uid=os.getuid(),
        capabilities=facts["CapEff"].strip(),
        no_new_privileges=facts["NoNewPrivs"].strip(),
        writable=writable,
        launcher=(stands.parent / "launcher.stand").exists(),
        engine_socket=any(Path(path).exists() for path in ("/var/run/docker.sock", "/run/docker.sock")),
        variable=os.environ.get("REAF_TOY", ""),
    )


def main() -> int:
    words = iter(sys.argv[1:])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    for word in words:
        match word:
            case "say":
                say("said", text=next(words))
            case "show":
                show()
            case "wait":
                signal.sigwait({signal.SIGTERM})
                say("stopped")
            case "stubborn":
                while True:
                    signal.sigwait({signal.SIGTERM})
                    say("ignored")
            case "end":
                return int(next(words))
    return 0


if __name__ == "__main__":
    sys.exit(main())
