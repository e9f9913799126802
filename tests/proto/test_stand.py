"""A real stand, and those who ask it. What it starts are modules of a package `services` made for these tests."""

import ast
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import reafference
from reafference import stand
from reafference.errors import PeerLost
from reafference.stand_client import AtStand, Request, Stands, health

PATIENCE_S = 30
SOURCE = Path(stand.__file__)

MODULES = {
    "lines": "import sys\nfor i in range(int(sys.argv[1])):\n    print('line', i)\n",
    "wait": "print('here', flush=True)\nimport time\ntime.sleep(600)\n",
    "stubborn": (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('here', flush=True)\n"
        "time.sleep(600)\n"
    ),
    "fail": "import sys\nsys.exit('reaf: it cannot be done')\n",
    "talk": (
        "import sys\nsys.stdout.write('x' * 70 + '\\n')\nsys.stdout.flush()\nsys.stdout.write('y' * int(sys.argv[1]))\n"
    ),
    "look": (
        "import json, os\n"
        "print(json.dumps({k: os.environ.get(k, '') for k in ('COLOUR', 'REAF_AT_STAND', 'REAF_PARENT_PID')}"
        " | {'nice': os.nice(0), 'group': os.getpgid(0) == os.getpid()}))\n"
    ),
    "family": (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(600)\n"
    ),
    "echo": (
        "import sys\nfor line in sys.stdin.buffer:\n    sys.stdout.buffer.write(line.upper())\n    sys.stdout.flush()\n"
    ),
    "flood": "import sys\nfor i in range(int(sys.argv[1])):\n    print(i, 'z' * 1000)\n",
}


@pytest.fixture
def package(tmp_path):
    """A package `services.toy`, to be started from; and a module of another service."""
    room = tmp_path / "packages" / "services" / "toy"
    room.mkdir(parents=True)
    (room / "__init__.py").write_text("")
    (room.parent / "__init__.py").write_text("")
    for name, text in MODULES.items():
        (room / f"{name}.py").write_text(text)
    return tmp_path / "packages"


class Standing:
    """A stand in a process of its own."""

    def __init__(self, package: Path, path: Path, *more: str, service: str = "toy"):
        self.path = path
        # As on the host of a cluster job: the file alone, with nothing of ours to import.
        self.process = subprocess.Popen(
            [sys.executable, "-E", str(SOURCE), str(path), "--service", service, *more],
            cwd=package,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(lambda: answers(path) or self.process.poll() is not None)

    def start(self, module, *arguments, **more):
        request = Request(module=f"services.toy.{module}", arguments=arguments, **{"output": "lines", **more})
        return AtStand.start(self.path, request)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.stderr.close()
        return self.process.returncode


@pytest.fixture
def standing(package, tmp_path):
    made = Standing(package, tmp_path / "toy.stand")
    assert made.process.poll() is None, made.process.stderr.read()
    yield made
    made.end()


def eventually(true, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)
    return found


def answers(path):
    with contextlib.suppress(PeerLost):
        return health(path, 1.0)
    return None


def heard(process, until="ended"):
    """Everything that is told up to this event."""
    found = []

    def come():
        found.extend(process.events())
        return any(event["event"] == until for event in found)

    eventually(come)
    return found


def lines_of(events):
    return [event["line"] for event in events if event["event"] == "said"]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def raw(path, *requests: bytes):
    """A bare connection that has sent these bytes."""
    there = stand.connected(str(path), time.monotonic() + PATIENCE_S)
    there.settimeout(PATIENCE_S)
    for request in requests:
        there.sendall(request)
    return there


def one_line(there):
    with there.makefile("rb") as file:
        return json.loads(file.readline())


def test_it_tells_what_a_process_says_and_how_it_ended(standing):
    process = standing.start("lines", "3")
    events = heard(process)
    assert process.pid > 0
    assert process.host == socket.gethostname()
    assert lines_of(events) == ["line 0", "line 1", "line 2"]
    assert events[-1]["status"] == 0
    assert events[-1]["how"] == "its process ended with status 0"
    assert 1 < events[-1]["peak_rss_mb"] < 500


def test_last_words_and_log_of_one_that_fails(standing, tmp_path):
    log = tmp_path / "fail.log"
    ended = heard(standing.start("fail", output="log", log=str(log)))[-1]
    assert (ended["status"], ended["last_words"]) == (1, "reaf: it cannot be done")
    assert log.read_text() == "reaf: it cannot be done\n"


def test_output_is_told_at_the_end_if_asked_for(standing):
    ended = heard(standing.start("talk", "10", output="collect"))[-1]
    assert ended["output"] == "x" * 70 + "\n" + "y" * 10
    assert ended["cut"] is False
    ended = heard(standing.start("fail", output="collect"))[-1]
    assert ended["errors"] == "reaf: it cannot be done\n"


def test_of_too_much_output_only_the_beginning_is_told(standing):
    ended = heard(standing.start("talk", str(stand.COLLECT_BYTES), output="collect"))[-1]
    assert ended["cut"] is True
    assert len(ended["output"]) == stand.COLLECT_BYTES


def test_a_line_without_an_end_is_told_in_pieces(standing):
    events = heard(standing.start("talk", str(3 * stand.LINE_BYTES)))
    said = lines_of(events)
    assert said[0] == "x" * 70
    assert "".join(said[1:]) == "y" * 3 * stand.LINE_BYTES
    assert max(map(len, said)) <= stand.LINE_BYTES


def test_environment_niceness_and_a_group_of_its_own(standing):
    said = lines_of(heard(standing.start("look", environment={"COLOUR": "red"}, niceness=7)))
    look = json.loads(said[0])
    assert look["COLOUR"] == "red"
    assert look["REAF_AT_STAND"] == "toy"
    assert look["REAF_PARENT_PID"] == str(standing.process.pid)
    assert look["nice"] == 7 + os.nice(0)
    assert look["group"]


def test_our_own_files_can_be_its_streams(standing):
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    request = Request(module="services.toy.echo", output="descriptors")
    process = AtStand.start(standing.path, request, (read_in, write_out, write_out))
    os.close(read_in)
    os.close(write_out)
    os.write(write_in, b"hello\n")
    assert os.read(read_out, 100) == b"HELLO\n"
    os.close(write_in)
    assert heard(process)[-1]["status"] == 0
    assert os.read(read_out, 100) == b""
    os.close(read_out)


def test_many_at_once(standing):
    outcomes = {}

    def one(number):
        process = standing.start("lines", str(number))
        outcomes[number] = lines_of(heard(process))
        process.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert outcomes == {number: [f"line {i}" for i in range(number)] for number in range(24)}
    assert eventually(lambda: health(standing.path).running == 0)


def test_who_goes_away_takes_the_process_along(standing):
    process = standing.start("family")
    child = int(lines_of(heard(process, "said"))[0])
    assert alive(process.pid)
    process.close()
    eventually(lambda: not alive(process.pid) and not alive(child))


def test_a_process_that_does_not_listen_is_killed(package, tmp_path):
    # Ten seconds are the promise; here a second word is given at once.
    standing = Standing(package, tmp_path / "toy.stand")
    process = standing.start("stubborn")
    heard(process, "said")
    began = time.monotonic()
    process.close()
    eventually(lambda: not alive(process.pid))
    assert stand.PATIENCE_S - 0.5 < time.monotonic() - began < stand.PATIENCE_S + 5
    assert standing.end() == 0


def test_a_process_that_is_kept_goes_on_and_is_found_again(standing):
    about = {"simulation": "s3", "title": "Öl"}
    process = standing.start("wait", keep=True, about=about)
    heard(process, "said")
    process.close()
    other = standing.start("wait")  # not kept, but it runs
    with raw(standing.path, b'{"do":"list"}\n') as there:
        listed = {one["id"]: one for one in one_line(there)["processes"]}
    assert listed[process.id]["about"] == about
    assert listed[process.id]["module"] == "services.toy.wait"
    assert listed[process.id]["since"] <= time.time()
    assert other.id in listed
    again = AtStand.attach(standing.path, process.id)
    assert again.pid == process.pid
    assert lines_of(heard(again, "said")) == ["here"]
    assert alive(process.pid)
    again.signal(signal.SIGTERM)
    assert heard(again)[-1]["how"] == "its process was killed by SIGTERM"
    with pytest.raises(PeerLost, match=f"no process '{process.id}' runs here"):
        eventually(lambda: AtStand.attach(standing.path, process.id).close())


def test_the_end_of_a_kept_process_is_told_to_who_comes_later(standing):
    process = standing.start("lines", "2", keep=True)
    process.close()
    eventually(lambda: health(standing.path).running == 0)
    again = AtStand.attach(standing.path, process.id)
    events = heard(again)
    assert lines_of(events) == ["line 0", "line 1"]
    assert events[-1]["status"] == 0


def test_several_may_listen_and_only_who_started_it_ends_it(standing):
    process = standing.start("wait")
    heard(process, "said")
    listeners = [AtStand.attach(standing.path, process.id) for _ in range(3)]
    listeners[0].close()
    assert [lines_of(heard(one, "said")) for one in listeners[1:]] == [["here"]] * 2
    assert alive(process.pid)
    process.close()
    assert heard(listeners[1])[-1]["how"] == "its process was killed by SIGTERM"


def test_sigterm_ends_all_of_it(standing):
    kept = standing.start("wait", keep=True)
    heard(kept, "said")
    family = standing.start("family")
    child = int(lines_of(heard(family, "said"))[0])
    standing.process.terminate()
    assert heard(kept)[-1]["how"] == "its process was killed by SIGTERM"
    assert standing.process.wait(PATIENCE_S) == 0
    assert not any(alive(pid) for pid in (kept.pid, family.pid, child))
    assert not standing.path.exists()


def test_a_second_sigterm_means_now(standing):
    process = standing.start("stubborn")
    heard(process, "said")
    standing.process.terminate()
    eventually(lambda: not standing.path.exists() or _refuses(standing))
    standing.process.terminate()
    assert standing.process.wait(stand.PATIENCE_S / 2) == 0
    assert not alive(process.pid)


def _refuses(standing):
    try:
        standing.start("lines", "1").close()
    except PeerLost as error:
        return "is ending" in error.text
    return False


def test_what_it_has_started_dies_with_it(standing):
    processes = [standing.start(name, keep=True) for name in ("wait", "stubborn")]
    for process in processes:
        heard(process, "said")
    standing.process.kill()
    standing.process.wait(PATIENCE_S)
    eventually(lambda: not any(alive(process.pid) for process in processes))
    with pytest.raises(PeerLost, match="has gone"):
        processes[0].events()


def test_the_socket_of_a_killed_stand_is_replaced(package, standing):
    standing.process.kill()
    standing.process.wait(PATIENCE_S)
    assert standing.path.exists()
    other = Standing(package, standing.path)
    assert other.process.poll() is None
    assert health(standing.path).service == "toy"
    assert other.end() == 0


def test_a_second_stand_on_a_living_socket_is_refused(package, standing):
    other = Standing(package, standing.path)
    assert other.process.wait(PATIENCE_S) == 2
    assert re.search("another stand listens on .*toy.stand", other.process.stderr.read())
    other.end()
    assert heard(standing.start("lines", "1"))[-1]["status"] == 0


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("services.brain", "this stand is for services.toy"),
        ("os", "this stand is for services.toy"),
        ("services.toyshop", "this stand is for services.toy"),
        ("services.toy.x;rm", "this stand is for services.toy"),
        ("services.toy..lines", "this stand is for services.toy"),
        ("", "this stand is for services.toy"),
    ],
)
def test_other_modules_are_refused(standing, module, sentence):
    with pytest.raises(PeerLost, match=sentence):
        AtStand.start(standing.path, Request(module=module))


@pytest.mark.parametrize(
    "request_",
    [
        b"\n\nnonsense\n",
        b"[1, 2]\n",
        b'{"do": "dance"}\n',
        b'{"do": ["start"]}\n',
        b"\xff\xfe\x00\n",
        b"[" * 100_000 + b"\n",
        b'{"do": "start"}\n',
        b'{"do": "start", "module": "services.toy.lines", "arguments": "1"}\n',
        b'{"do": "start", "module": "services.toy.lines", "arguments": ["\\u0000"]}\n',
        b'{"do": "start", "module": "services.toy.lines", "environment": {"A=B": "1"}}\n',
        b'{"do": "start", "module": "services.toy.lines", "environment": {"A": "\\ud800"}}\n',
        b'{"do": "start", "module": "services.toy.lines", "ranks": true}\n',
        b'{"do": "start", "module": "services.toy.lines", "ranks": 2}\n',
        b'{"do": "start", "module": "services.toy.lines", "threads": 0}\n',
        b'{"do": "start", "module": "services.toy.lines", "about": [1]}\n',
        b'{"do": "start", "module": "services.toy.lines", "output": "descriptors"}\n',
        b'{"do": "start", "module": "services.toy.lines", "log": "/nonexistent/folder/log"}\n',
        b'{"do": "signal", "number": 15}\n',
        b'{"do": "attach", "id": {}}\n',
    ],
)
def test_a_bad_request_is_refused_in_a_sentence_and_disturbs_nobody(standing, request_):
    beside = standing.start("wait")
    heard(beside, "said")
    with raw(standing.path, request_, b'{"do": "health"}\n') as there, there.makefile("rb") as file:
        refused, after = json.loads(file.readline()), json.loads(file.readline())
    assert refused["event"] == "refused"
    assert len(refused["text"]) > 10
    assert after["event"] == "health"
    assert alive(beside.pid)


def test_a_line_that_never_ends_is_cut_off(standing):
    # The connection is reset, or its pipe is broken.
    with raw(standing.path) as there, pytest.raises(OSError):  # noqa: PT011
        there.sendall(b"x" * 4 * 1024 * 1024)
    assert health(standing.path).running == 0


def test_a_slow_reader_holds_nobody_up(standing):
    lines = 30_000  # of a thousand bytes: far more than is kept
    slow = standing.start("flood", str(lines), keep=True)
    pid = slow.pid
    eventually(lambda: not alive(pid))
    quick = heard(standing.start("lines", "5"))
    assert lines_of(quick)[-1] == "line 4"
    events = heard(slow)
    missed = sum(event["lines"] for event in events if event["event"] == "missed")
    assert missed > 0
    assert len(lines_of(events)) + missed == lines
    assert lines_of(events)[-1].startswith(f"{lines - 1} ")
    assert events[-1]["status"] == 0


def test_hundreds_of_connections_that_say_nothing(standing):
    idle = [raw(standing.path) for _ in range(200)]
    assert heard(standing.start("lines", "1"))[-1]["status"] == 0
    for there in idle:
        there.close()
    assert health(standing.path).running == 0


def test_behind_a_prefix_only_the_service_itself_is_started(package, tmp_path):
    (package / "services" / "toy" / "__main__.py").write_text("import sys\nprint(sys.argv[1:])\n")
    prefix = f"env MARK=1 {sys.executable}"
    standing = Standing(package, tmp_path / "toy.stand", "--prefix", prefix)
    about = health(standing.path)
    assert (about.prefix, about.cores, about.mpiexec) == (True, 0, True)
    process = AtStand.start(standing.path, Request(module="services.toy", arguments=("a", "b c"), output="lines"))
    assert lines_of(heard(process)) == ["['a', 'b c']"]
    with pytest.raises(PeerLost, match=r"starts services\.toy only"):
        standing.start("lines", "1")
    assert standing.end() == 0


def test_the_health_check_of_a_container(standing):
    command = [sys.executable, str(SOURCE), "--ask"]
    good = subprocess.run([*command, str(standing.path)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert good.returncode == 0
    assert json.loads(good.stdout)["service"] == "toy"
    bad = subprocess.run([*command, "/nonexistent/x.stand"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert bad.returncode == 1
    assert "no stand answers at /nonexistent/x.stand: No such file" in json.loads(bad.stdout)["text"]


def test_a_stand_that_hangs_is_named(standing):
    standing.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(PeerLost, match=r"the stand of the toy \(.*toy\.stand\) does not answer: timed out"):
            AtStand.start(standing.path, Request(module="services.toy.lines"), seconds=0.3)
    finally:
        standing.process.send_signal(signal.SIGCONT)


def test_the_engine_s_stand_clears_away_the_wires_of_killed_launches(package, tmp_path):
    (tmp_path / "wires-old").mkdir()
    (tmp_path / "wires-old" / "step").write_text("")
    (tmp_path / "other").mkdir()
    standing = Standing(package, tmp_path / "engine.stand", service="engine")
    assert not (tmp_path / "wires-old").exists()
    assert (tmp_path / "other").exists()
    assert standing.end() == 0


def test_which_service_has_a_stand(tmp_path):
    (tmp_path / "brain.stand").write_text("")
    stands = Stands.load({"REAF_STANDS": str(tmp_path)})
    assert stands.of("brain") == tmp_path / "brain.stand"
    assert stands.of("body") is None
    assert stands.of_module("services.brain.check") == tmp_path / "brain.stand"
    assert Stands.load({"REAF_STANDS": str(tmp_path), "REAF_AT_STAND": "brain"}).of("brain") is None
    assert Stands.load({}).of("brain") is None


def test_it_is_one_file_for_an_old_python():
    text = SOURCE.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 6))
    imported = {
        (name.name if isinstance(node, ast.Import) else node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported <= set(sys.stdlib_module_names)
    assert not imported & {"dataclasses", "asyncio", "contextvars"}
    newer = r"capture_output|process_group|removeprefix|removesuffix|from __future__ import annotations|\bmatch \w+:"
    assert not re.search(newer, text)
    assert reafference.__version__ == stand.VERSION
