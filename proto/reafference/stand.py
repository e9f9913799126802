"""`python -m reafference.stand SOCKET --service NAME`: starts the processes of one service where it stands.

In a container, or on the host of a cluster job, it waits on a unix socket until it is asked to start a module of its
service; it then tells what the process says and how it ended. What one may ask of it stands in PROTOCOL.md, "Stands".
`--ask SOCKET` prints whether a stand answers, and ends with status 0 or 1: the health check of a container.

It is one file on purpose, without anything of ours or of others, and keeps to Python 3.6: a cluster job copies it
beside its script and runs it with the Python of the host. All of it is one thread: the kernel ends the children
together with the thread that started them.
"""

import argparse
import collections
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import re
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any, Deque, Dict, Iterable, List, Optional, Set, Tuple

VERSION = "0.1.0"
LINE_BYTES = 1024 * 1024
JOURNAL_BYTES = 8 * 1024 * 1024
COLLECT_BYTES = 8 * 1024 * 1024
WORDS_BYTES = 64 * 1024
PATIENCE_S = 10.0
WIRES_PREFIX = "wires-"

_TURN_S = 1.0
_ASK_S = 3.0
_IDLE_S = 60.0
_MOST_CONNECTIONS = 256
_MOST_PROCESSES = 64
_MOST_ENDED = 20
_CHUNK = 64 * 1024
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_OUTPUTS = ("lines", "log", "collect", "descriptors")
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_PLACING = ("--map-by", "--bind-to", "-map-by", "-bind-to", "--rankfile", "-rf", "--cpu-set")


class Refused(Exception):
    """A request that is not carried out; its text is one sentence for who asked."""


# --- command lines: values in, values out ---------------------------------------------------------------


def job_command(
    python: Iterable[str],
    module: str,
    ranks: int,
    threads: int,
    cores: int,
    hostfile: str = "",
    arguments: Iterable[str] = (),
    environment: Iterable[str] = (),
) -> List[str]:
    """mpiexec with `ranks` processes that run `module`.

    Each is pinned to `threads` cores of its own where there are enough: mpiexec would otherwise pin a process to one
    core, on which its threads take turns. With arguments of the user's own about places we add none.
    `environment` names the variables that go with the processes to other hosts.
    """
    given = list(arguments)
    made = ["mpiexec", "-n", str(ranks)]
    if hostfile:
        made += ["--hostfile", hostfile]
        for name in environment:
            made += ["-x", name]
    if not any(argument.split("=")[0] in _PLACING for argument in given):
        enough = bool(hostfile) or ranks * threads <= cores
        made += ["--map-by", "slot:PE=%d" % threads] if enough else ["--oversubscribe", "--bind-to", "none"]
    # Under mpi4py's own runner what nobody caught ends the job, not one process of it.
    return made + given + list(python) + ["-m", "mpi4py", "-m", module]


def job_environment(folder: str, crowded: bool) -> Dict[str, str]:
    """Settings of Open MPI for such a job; what the user has set already is theirs.

    `crowded`: more threads want to run than there are cores, so whoever waits has to let go of its core.
    """
    wanted = {
        "MPI4PY_RC_THREAD_LEVEL": "funneled",  # NEST calls MPI from its main thread, and so do we
        "OMPI_MCA_orte_tmpdir_base": folder,  # so that nothing is left behind when the job is killed
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # containers forbid the other ways
        # Else ranks that are left have seconds after one has died, and say poorer reasons for the end than mpiexec.
        "OMPI_MCA_odls_base_sigkill_timeout": "0",
    }
    if crowded:
        wanted["OMPI_MCA_mpi_yield_when_idle"] = "1"
    if os.geteuid() == 0:
        wanted.update({"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
    return {name: value for name, value in wanted.items() if name not in os.environ}


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return "its process ended with status %d" % status
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    return "its process was killed by " + name


# --- what was asked -------------------------------------------------------------------------------------


class Wish:
    """A start request that has been looked at. Raises Refused for what no stand does."""

    def __init__(self, asked: Dict[str, Any], service: str, prefix: List[str]) -> None:
        self.module = _text(asked, "module", "")
        self.arguments = _texts(asked, "arguments")
        self.environment = _environment(asked)
        self.ranks = _number(asked, "ranks", 1, 1, 65536)
        self.threads = _number(asked, "threads", 1, 1, 65536)
        self.niceness = _number(asked, "niceness", 0, 0, 19)
        self.mpi_arguments = _texts(asked, "mpi_arguments")
        self.hostfile = _text(asked, "hostfile", "")
        self.log = _text(asked, "log", "")
        self.output = _text(asked, "output", "log")
        self.keep = asked.get("keep") is True
        self.about = asked.get("about") or {}
        if not isinstance(self.about, dict):
            raise Refused("start: about is an object, for those who list what runs here")
        if self.output not in _OUTPUTS:
            raise Refused("start: output is one of %s, not %.40r" % (", ".join(_OUTPUTS), self.output))
        self._check_module(service, prefix)

    def _check_module(self, service: str, prefix: List[str]) -> None:
        allowed = ["services", service]
        words = self.module.split(".")
        if words[:2] != allowed or not all(_NAME.match(word) for word in words):
            raise Refused(
                "%.80r is not started here: this stand is for services.%s and what is below it" % (self.module, service)
            )
        if prefix and len(words) > 2:
            raise Refused("%s is not started here: this stand starts services.%s only" % (self.module, service))
        if self.ranks > 1 and self.module != "services.brain":
            raise Refused("%s is one process, not %d" % (self.module, self.ranks))


def _text(asked: Dict[str, Any], key: str, default: str) -> str:
    found = asked.get(key)
    if found is None:
        return default
    if not isinstance(found, str) or "\0" in found:
        raise Refused("start: %s has to be a text" % key)
    return found


def _texts(asked: Dict[str, Any], key: str) -> List[str]:
    found = asked.get(key) or []
    if not isinstance(found, list) or not all(isinstance(one, str) and "\0" not in one for one in found):
        raise Refused("start: %s has to be a list of texts" % key)
    return list(found)


def _environment(asked: Dict[str, Any]) -> Dict[str, str]:
    found = asked.get("environment") or {}
    good = isinstance(found, dict) and all(
        isinstance(value, str) and "\0" not in name + value and name and "=" not in name
        for name, value in found.items()
    )
    if not good:
        raise Refused("start: environment has to be an object of texts")
    return dict(found)


def _number(asked: Dict[str, Any], key: str, default: int, least: int, most: int) -> int:
    found = asked.get(key, default)
    if type(found) is not int or not least <= found <= most:
        raise Refused("start: %s has to be a whole number from %d to %d" % (key, least, most))
    return int(found)


# --- a process and what it has said ---------------------------------------------------------------------


class Journal:
    """Everything that is told of one process, in order. A slow reader finds less of it, and is told so."""

    def __init__(self) -> None:
        self._head = b""  # says who it is: it stays
        self._lines: Deque[bytes] = collections.deque()
        self._first = 1
        self._bytes = 0

    def add(self, event: Dict[str, Any]) -> None:
        line = encoded(event)
        if not self._head:
            self._head = line
            return
        self._lines.append(line)
        self._bytes += len(line)
        while self._bytes > JOURNAL_BYTES and len(self._lines) > 1:
            self._bytes -= len(self._lines.popleft())
            self._first += 1

    def after(self, place: int) -> Tuple[bytes, int]:
        """About a chunk of what comes after the first `place` events, and the next place."""
        if not self._head:
            return b"", 0
        found = [self._head] if place == 0 else []
        place = max(place, 1)
        if place < self._first:
            found.append(encoded({"event": "missed", "lines": self._first - place}))
            place = self._first
        size = 0
        while place - self._first < len(self._lines) and size < _CHUNK:
            line = self._lines[place - self._first]
            found.append(line)
            size += len(line)
            place += 1
        return b"".join(found), place


class Pipe:
    """One output of a process, read as it comes."""

    def __init__(self, stream: Any, most: int) -> None:
        self.stream = stream
        self.descriptor = stream.fileno()
        os.set_blocking(self.descriptor, False)
        self.kept = bytearray()
        self.cut = False
        self._most = most

    def read(self) -> Optional[bytes]:
        """What is there; None at the end."""
        try:
            return os.read(self.descriptor, _CHUNK) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None

    def keep(self, piece: bytes, last: bool) -> None:
        """Add to what is kept: of too much the beginning, or the end if that is what counts (`last`)."""
        self.kept += piece
        if len(self.kept) > self._most:
            self.cut = True
            if last:
                del self.kept[: -self._most]
            else:
                del self.kept[self._most :]


class Process:
    """A process that runs here, or ran."""

    def __init__(self, number: int, wish: Wish, popen: Any) -> None:
        self.id, self.wish, self.popen = "p%d" % number, wish, popen
        self.pid: int = popen.pid
        self.since = time.time()
        self.journal = Journal()
        self.out = Pipe(popen.stdout, COLLECT_BYTES) if popen.stdout else None
        self.errors = Pipe(popen.stderr, WORDS_BYTES) if popen.stderr else None
        self.ended = self.told = False
        self.kill_at = 0.0

    @property
    def pipes(self) -> List[Pipe]:
        return [pipe for pipe in (self.out, self.errors) if pipe is not None]

    def take(self, pipe: Pipe, piece: bytes) -> None:
        """Something was said."""
        if pipe is self.errors or self.wish.output == "collect":
            pipe.keep(piece, last=pipe is self.errors)
            return
        pipe.kept += piece
        while True:
            end = pipe.kept.find(b"\n", 0, LINE_BYTES + 1)
            if end < 0 and len(pipe.kept) <= LINE_BYTES:
                return
            size = end if end >= 0 else LINE_BYTES
            line = bytes(pipe.kept[:size])
            del pipe.kept[: size + 1 if end >= 0 else size]
            self._say(line)

    def _say(self, line: bytes) -> None:
        self.journal.add({"event": "said", "line": line.decode("utf-8", "replace")})

    def send(self, number: int) -> None:
        """A signal for it; SIGKILL is for its whole group, others it may pass on itself."""
        if self.ended:
            return
        with contextlib.suppress(OSError):
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def leave(self, patience_s: float = PATIENCE_S) -> None:
        """Ask all of its group to end; they are killed if they have not after `patience_s`."""
        if self.ended or self.kill_at:
            return
        self.kill_at = time.monotonic() + patience_s
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGTERM)

    def reap(self) -> bool:
        """Whether it has just ended."""
        if self.ended or os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        # As long as it has not been waited for nobody else can have its number.
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        self.popen.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        self.ended = True
        self._drain()
        self.journal.add(self._last_event(self.popen.returncode, usage))
        return True

    def _drain(self) -> None:
        for pipe in self.pipes:
            piece = pipe.read()
            while piece:
                self.take(pipe, piece)
                piece = pipe.read()
        if self.out is not None and self.wish.output == "lines" and self.out.kept:
            self._say(bytes(self.out.kept))

    def _last_event(self, status: int, usage: Any) -> Dict[str, Any]:
        event = {
            "event": "ended",
            "status": status,
            "how": how_it_ended(status),
            "peak_rss_mb": round(usage.ru_maxrss * 1024 / 1e6, 1),
            "last_words": self._last_words(),
        }
        if self.wish.output == "collect" and self.out is not None and self.errors is not None:
            event["output"] = self.out.kept.decode("utf-8", "replace")
            event["cut"] = self.out.cut
            event["errors"] = self.errors.kept.decode("utf-8", "replace")
        return event

    def _last_words(self) -> str:
        """The last line that went to its log or, without one, to its standard error."""
        tail = bytes(self.errors.kept) if self.errors is not None else b""
        if self.wish.log:
            try:
                with open(self.wish.log, "rb") as log:
                    log.seek(max(0, os.fstat(log.fileno()).st_size - WORDS_BYTES))
                    tail = log.read(WORDS_BYTES)
            except OSError:
                tail = b""
        lines = tail.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:4096] if lines else ""


# --- a conversation ---------------------------------------------------------------------------------------


class Connection:
    """Somebody who asks."""

    def __init__(self, there: socket.socket) -> None:
        self.socket = there
        self.process: Optional[Process] = None
        self.owner = False
        self.place = 0
        self.descriptors: List[int] = []
        self.heard_at = time.monotonic()
        self._in = bytearray()
        self._out = bytearray()

    def lines(self) -> Optional[List[bytes]]:
        """The requests that have come; None when nothing comes any more."""
        try:
            piece, descriptors = _received(self.socket)
        except BlockingIOError:
            return []
        except OSError:
            return None
        self.descriptors += descriptors
        if not piece or len(self.descriptors) > 3:
            return None
        self.heard_at = time.monotonic()
        self._in += piece
        *found, rest = bytes(self._in).split(b"\n")
        self._in[:] = rest
        return None if len(rest) > LINE_BYTES else found

    def say(self, event: Dict[str, Any]) -> None:
        self._out += encoded(event)

    def follow(self, process: Process, owner: bool) -> None:
        """From now on it is told of this process, from the beginning."""
        self.process, self.owner = process, owner

    def push(self) -> bool:
        """Send what it takes; whether there is more."""
        while self._fill():
            try:
                sent = self.socket.send(self._out)
            except BlockingIOError:
                return True
            except OSError:
                self._out.clear()
                return False
            del self._out[:sent]
        return False

    def _fill(self) -> bool:
        if not self._out and self.process is not None:
            found, self.place = self.process.journal.after(self.place)
            self._out += found
        return bool(self._out)

    @property
    def complete(self) -> bool:
        """Whether everything there will ever be has been sent."""
        return self.process is not None and self.process.ended and not self._fill()

    def close(self) -> None:
        self.close_descriptors()
        self.socket.close()

    def close_descriptors(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []


def _received(there: socket.socket) -> Tuple[bytes, List[int]]:
    """Bytes, and open files that came with them."""
    piece, extras, _, _ = there.recvmsg(_CHUNK, socket.CMSG_SPACE(8 * 4), getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    found: List[int] = []
    for level, kind, data in extras:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = data[: len(data) - len(data) % 4]
            found += [int.from_bytes(whole[i : i + 4], sys.byteorder) for i in range(0, len(whole), 4)]
    return piece, found


def encoded(event: Dict[str, Any]) -> bytes:
    return json.dumps(event).encode("ascii") + b"\n"


# --- the stand --------------------------------------------------------------------------------------------


class Stand:
    """Listens, starts, tells. `cores` is how many the processes may use, 0 where it cannot know (with a prefix)."""

    patience_s = PATIENCE_S  # how long its processes may take to end when they are asked to

    def __init__(self, path: str, service: str, prefix: Iterable[str] = (), cores: int = 0) -> None:
        self._path, self._service, self._prefix = path, service, list(prefix)
        self._cores = cores or (0 if self._prefix else usable_cores())
        self._processes: Dict[str, Process] = {}
        self._connections: Set[Connection] = set()
        self._number = 0
        self._asked_to_end = 0
        self._ending = False
        self._selector = selectors.DefaultSelector()
        self._door: Optional[socket.socket] = None
        self._handlers = {
            "start": self._start,
            "list": self._list,
            "attach": self._attach,
            "signal": self._signal,
            "health": self._health,
        }

    def serve(self) -> int:
        """Until SIGTERM; returns the exit status. Raises Refused if it cannot stand there."""
        lock = _lock(self._path)
        woken, waker = socket.socketpair()
        for one in (woken, waker):
            one.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._tidy()
        self._door = _door(self._path)
        self._selector.register(self._door, selectors.EVENT_READ, self._door)
        self._selector.register(woken, selectors.EVENT_READ, woken)
        try:
            while not self._ending or any(not process.ended for process in self._processes.values()):
                self._turn(woken)
        finally:
            self._close()
            signal.set_wakeup_fd(-1)
            woken.close()
            waker.close()
            lock.close()
        return 0

    def _tidy(self) -> None:
        """What is left of the stand that was here before."""
        if self._service == "engine":
            remove_stale_wires(os.path.dirname(self._path))

    def _end(self, number: int, frame: Any) -> None:
        self._asked_to_end += 1

    def _turn(self, woken: socket.socket) -> None:
        for key, mask in self._selector.select(self._wait_s()):
            if key.data is self._door:
                self._welcome()
            elif key.data is woken:
                _empty(woken)
            elif isinstance(key.data, Connection):
                if mask & selectors.EVENT_READ:
                    self._hear(key.data)
            else:
                self._read(*key.data)
        self._reap()
        self._leave_if_asked()
        self._hurry()
        self._push()

    def _wait_s(self) -> float:
        now = time.monotonic()
        ends = [process.kill_at - now for process in self._processes.values() if process.kill_at and not process.ended]
        return max(0.0, min([_TURN_S, *ends]))

    def _welcome(self) -> None:
        assert self._door is not None
        while True:
            try:
                there, _ = self._door.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    time.sleep(0.05)  # it stays readable: without this it would keep a core busy
                return
            self._admit(there)

    def _admit(self, there: socket.socket) -> None:
        if len(self._connections) >= _MOST_CONNECTIONS:
            there.close()
            return
        there.setblocking(False)
        connection = Connection(there)
        self._connections.add(connection)
        self._selector.register(there, selectors.EVENT_READ, connection)

    def _hear(self, connection: Connection) -> None:
        if connection not in self._connections:
            return
        lines = connection.lines()
        if lines is None:
            self._part(connection)
            return
        for line in lines:
            if line.strip():
                self._answer(connection, line)

    def _answer(self, connection: Connection, line: bytes) -> None:
        try:
            asked = json.loads(line.decode("utf-8"))
            handler = self._handlers.get(str(asked.get("do"))) if isinstance(asked, dict) else None
            if handler is None:
                raise Refused("ask for one of: " + ", ".join(sorted(self._handlers)))
            handler(connection, asked)
        except Refused as refused:
            connection.say({"event": "refused", "text": str(refused)})
        except (ValueError, TypeError, RecursionError):
            connection.say({"event": "refused", "text": "a request is one JSON object in one line"})
        finally:
            connection.close_descriptors()

    def _part(self, connection: Connection) -> None:
        """It asks no more: what was started for it alone ends."""
        self._selector.unregister(connection.socket)
        self._connections.discard(connection)
        connection.close()
        process = connection.process
        if process is not None and connection.owner and not process.wish.keep:
            process.leave(self.patience_s)

    # --- requests ---

    def _start(self, connection: Connection, asked: Dict[str, Any]) -> None:
        if connection.process is not None:
            raise Refused("start: one connection is for one process")
        if self._ending:
            raise Refused("this stand is ending")
        if sum(not process.ended for process in self._processes.values()) >= _MOST_PROCESSES:
            raise Refused("%d processes run here: no more are started" % _MOST_PROCESSES)
        connection.follow(self._begin(asked, connection.descriptors), owner=True)

    def _attach(self, connection: Connection, asked: Dict[str, Any]) -> None:
        if connection.process is not None:
            raise Refused("attach: one connection is for one process")
        process = self._processes.get(str(asked.get("id")))
        if process is None:
            raise Refused("no process %.40r runs here" % asked.get("id"))
        connection.follow(process, owner=False)

    def _signal(self, connection: Connection, asked: Dict[str, Any]) -> None:
        if connection.process is None:
            raise Refused("signal: this connection has no process")
        number = _number(asked, "number", 0, 1, 64)
        connection.process.send(number)

    def _list(self, connection: Connection, asked: Dict[str, Any]) -> None:
        known = [
            {
                "id": process.id,
                "about": process.wish.about,
                "module": process.wish.module,
                "since": process.since,
                "pid": process.pid,
                "ended": process.ended,
            }
            for process in self._processes.values()
            if self._worth_listing(process)
        ]
        connection.say({"event": "list", "processes": known})

    def _worth_listing(self, process: Process) -> bool:
        return process.wish.keep or not process.ended

    def _health(self, connection: Connection, asked: Dict[str, Any]) -> None:
        connection.say(
            {
                "event": "health",
                "service": self._service,
                "version": VERSION,
                "running": sum(not process.ended for process in self._processes.values()),
                "cores": self._cores,
                "mpiexec": bool(self._prefix) or shutil.which("mpiexec") is not None,
                "prefix": bool(self._prefix),
                "host": socket.gethostname(),
            }
        )

    # --- processes ---

    def _begin(self, asked: Dict[str, Any], descriptors: List[int]) -> Process:
        wish = Wish(asked, self._service, self._prefix)
        if wish.output == "descriptors" and len(descriptors) != 3:
            raise Refused("start: with output descriptors three open files have to come with the request")
        self._number += 1
        process = Process(self._number, wish, self._popen(wish, descriptors))
        self._processes[process.id] = process
        for pipe in process.pipes:
            self._selector.register(pipe.descriptor, selectors.EVENT_READ, (process, pipe))
        host = socket.gethostname()
        process.journal.add({"event": "started", "id": process.id, "pid": process.pid, "host": host})
        return process

    def _popen(self, wish: Wish, descriptors: List[int]) -> Any:
        command, environment = self._command(wish), self._environment(wish)
        own = os.getpid()

        def prepare() -> None:
            os.setpgid(0, 0)
            _die_with(own)
            if wish.niceness:
                os.nice(wish.niceness)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)

        log = None
        try:
            if wish.log:
                log = open(wish.log, "wb")  # noqa: SIM115 - it is closed below
            errors = log if log is not None else (subprocess.PIPE if wish.output == "collect" else None)
            outputs = {
                "lines": (subprocess.DEVNULL, subprocess.PIPE, errors),
                "collect": (subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE),
                "log": (subprocess.DEVNULL, errors if errors is not None else 2, errors),
                "descriptors": tuple(descriptors),
            }
            stdin, stdout, stderr = outputs[wish.output]
            return subprocess.Popen(
                command, env=environment, stdin=stdin, stdout=stdout, stderr=stderr, preexec_fn=prepare
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            name = getattr(error, "filename", None) or command[0]
            raise Refused("%s cannot be started: %s (%s)" % (wish.module, reason, name)) from None
        finally:
            if log is not None:
                log.close()

    def _command(self, wish: Wish) -> List[str]:
        as_job = ["-m", "mpi4py", "-m", wish.module] if wish.module == "services.brain" else ["-m", wish.module]
        if self._prefix:
            return self._prefix + as_job + wish.arguments
        if wish.ranks == 1:
            return [sys.executable, "-m", wish.module] + wish.arguments
        made = job_command(
            [sys.executable],
            wish.module,
            wish.ranks,
            wish.threads,
            self._cores,
            wish.hostfile,
            wish.mpi_arguments,
            sorted(wish.environment),
        )
        return made + wish.arguments

    def _environment(self, wish: Wish) -> Dict[str, str]:
        made = dict(os.environ)
        if wish.ranks > 1 and not self._prefix:
            crowded = wish.ranks * wish.threads + 1 > self._cores
            folder = os.path.dirname(wish.log) if wish.log else tempfile.gettempdir()
            made.update(job_environment(folder, crowded))
        own_keys = made.get("REAF_KEYS")
        made.update(wish.environment)
        if own_keys:
            made["REAF_KEYS"] = own_keys  # where keys lie differs from one container to another
        made["REAF_AT_STAND"] = self._service
        # Behind a prefix the parent is somebody else, on another host perhaps.
        made["REAF_PARENT_PID"] = "0" if self._prefix else str(os.getpid())
        return made

    def _read(self, process: Process, pipe: Pipe) -> None:
        piece = pipe.read()
        if piece:
            process.take(pipe, piece)
        elif piece is None:
            self._unregister(pipe)

    def _unregister(self, pipe: Pipe) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe.descriptor)

    def _reap(self) -> None:
        for process in self._processes.values():
            if process.reap():
                for pipe in process.pipes:
                    self._unregister(pipe)
                    pipe.stream.close()
        self._forget()

    def _forget(self) -> None:
        """Of those that have ended only what somebody may still ask for."""
        followed = {connection.process for connection in self._connections}
        ended = [one for one in self._processes.values() if one.ended and one not in followed]
        waiting = [one for one in ended if one.wish.keep and not one.told]
        for process in set(ended) - set(waiting[-_MOST_ENDED:]):
            del self._processes[process.id]

    def _leave_if_asked(self) -> None:
        if not self._asked_to_end:
            return
        if not self._ending:
            self._ending = True
            for process in self._processes.values():
                process.leave(self.patience_s)
        if self._asked_to_end > 1:
            for process in self._processes.values():
                process.send(signal.SIGKILL)

    def _hurry(self) -> None:
        now = time.monotonic()
        for process in self._processes.values():
            if process.kill_at and now >= process.kill_at:
                process.send(signal.SIGKILL)
                process.kill_at = now + _TURN_S

    def _push(self) -> None:
        now = time.monotonic()
        for connection in list(self._connections):
            more = connection.push()
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if more else 0)
            self._selector.modify(connection.socket, wanted, connection)
            if connection.complete:
                assert connection.process is not None
                connection.process.told = True
                self._part(connection)
            elif connection.process is None and now - connection.heard_at > _IDLE_S:
                self._part(connection)

    def _close(self) -> None:
        for connection in list(self._connections):
            connection.push()
            self._part(connection)
        for process in self._processes.values():
            process.send(signal.SIGKILL)
        if self._door is not None:
            self._door.close()
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self._selector.close()


def _die_with(parent: int) -> None:
    """In the child: be killed when the stand ends, however it ends. Our own services ask for SIGTERM instead."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)


def _empty(woken: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while woken.recv(_CHUNK):
            pass


def _lock(path: str) -> Any:
    """The right to stand there, as long as the file is open."""
    try:
        lock = open(path + ".lock", "w")  # noqa: SIM115 - it is held as long as the stand lives
    except OSError as error:
        raise Refused("%s cannot be made: %s" % (path, error.strerror)) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise Refused("another stand listens on %s: end it, or name another socket" % path) from None
    return lock


def _door(path: str) -> socket.socket:
    new = path + "~"  # short, as the names of sockets must be
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        for old in (path, new):
            if os.path.exists(old):
                os.unlink(old)  # of a stand that was killed: nobody holds its lock
        before = os.umask(0o177)
        try:
            door.bind(new)
        finally:
            os.umask(before)
        door.listen(_MOST_CONNECTIONS)
        os.rename(new, path)  # whoever sees it is answered
    except OSError as error:
        door.close()
        raise Refused("%s cannot be listened on: %s" % (path, error.strerror or error)) from None
    door.setblocking(False)
    return door


def remove_stale_wires(folder: str) -> None:
    """The wires of launches that were killed; call it where no launch can run."""
    for name in os.listdir(folder or "."):
        if name.startswith(WIRES_PREFIX):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def usable_cores() -> int:
    """Cores this process may run on: fewer than the machine has, in a container with a limit of its own."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _cores_of_limit("/sys/fs/cgroup/cpu.max", affinity)))


def _cores_of_limit(path: str, otherwise: int) -> int:
    try:
        with open(path) as file:
            quota, period = file.read().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return otherwise


def connected(path: str, end: float) -> socket.socket:
    """A connection to a stand. Raises OSError if there is none before `end` (of time.monotonic)."""
    there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        while True:
            there.settimeout(max(0.001, end - time.monotonic()))
            try:
                there.connect(path)
                return there
            except BlockingIOError:
                # Many knock at the same time: a socket with a limit is not queued then.
                if time.monotonic() >= end:
                    raise
                time.sleep(0.01)
    except BaseException:
        there.close()
        raise


def ask(path: str, seconds: float = _ASK_S, what: str = "health") -> Dict[str, Any]:
    """The health of a stand, or the list of its processes.

    Raises OSError or ValueError if it does not answer within this time.
    """
    end = time.monotonic() + seconds
    there = connected(path, end)
    try:
        there.sendall(encoded({"do": what}))
        said = b""
        while b"\n" not in said:
            there.settimeout(max(0.001, end - time.monotonic()))
            piece = there.recv(_CHUNK)
            if not piece:
                raise OSError(errno.ECONNRESET, "it closed the connection")
            said += piece
        found = json.loads(said.partition(b"\n")[0].decode("utf-8"))
        if not isinstance(found, dict) or found.get("event") != what:
            raise ValueError("it answered something else")
        return found
    finally:
        there.close()


def _ask(path: str) -> int:
    try:
        print(json.dumps(ask(path)))
        return 0
    except (OSError, ValueError) as error:
        text = "no stand answers at %s: %s" % (path, getattr(error, "strerror", None) or error)
        print(json.dumps({"event": "refused", "text": text}))
        return 1


def main(arguments: Optional[List[str]] = None) -> int:
    """Stand, or ask; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m reafference.stand", description="Starts processes of one service.")
    parser.add_argument("socket", help="where it listens: FOLDER/SERVICE.stand")
    parser.add_argument("--service", help="engine, brain, body, recorder: the room of services whose modules it starts")
    parser.add_argument("--prefix", default="", help="what stands before -m services.X on the command line, as in sh")
    parser.add_argument("--cores", type=int, default=0, help="how many cores its processes may use")
    parser.add_argument("--ask", action="store_true", help="ask the stand at SOCKET how it is")
    given = parser.parse_args(arguments)
    if given.ask:
        return _ask(given.socket)
    if not given.service or not _NAME.match(given.service):
        parser.error("name the service with --service")
    try:
        return Stand(os.path.abspath(given.socket), given.service, shlex.split(given.prefix), given.cores).serve()
    except Refused as refused:
        print("reaf: %s" % refused, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
