"""reafference.process: what every service does about its own process."""

import os
import signal
import subprocess
import sys
import time

from reafference.process import peak_rss_mb, usable_cores, wake_promptly

LEAVE = """
import os, signal, sys, time
from reafference.process import Leave
leave = Leave()
print("up", flush=True)
while not leave.asked:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGTERM)  # too soon to be another wish
print("asked", flush=True)
time.sleep(60)
"""

CHILD = """
import os, sys, time
from reafference.process import die_with
die_with(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(60)
"""

ORDERLY_CHILD = """
import os, pathlib, sys, time
from reafference.process import Leave, die_with
leave = Leave()
die_with(int(sys.argv[1]))
print(os.getpid(), flush=True)
while not leave.asked:
    time.sleep(0.01)
time.sleep(0.2)
pathlib.Path("in_order").touch()
"""

THREADED_PARENT = """
import os, subprocess, sys, threading, time
for _ in range(50):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
time.sleep(60)
"""

PARENT = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
time.sleep(60)
"""


def ended(pid):
    """Whether a process that is nobody's child any more is gone, or dead and not yet buried."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_sigterm_asks_once_and_ends_the_second_time_while_ctrl_c_is_not_for_services():
    child = subprocess.Popen([sys.executable, "-c", LEAVE], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"up\n"
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        assert child.stdout.readline() == b"asked\n"
        time.sleep(0.6)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 128 + signal.SIGTERM
    finally:
        child.kill()
        child.communicate()


def test_a_child_dies_with_its_parent_however_that_ends():
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE)
    try:
        pid = int(parent.stdout.readline())
        assert not ended(pid)
    finally:
        parent.kill()
        parent.communicate()
    deadline = time.monotonic() + 20
    while not ended(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_whose_parent_is_killed_with_all_its_threads_may_end_in_order(tmp_path):
    command = [sys.executable, "-c", THREADED_PARENT, ORDERLY_CHILD]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path)
    try:
        pid = int(parent.stdout.readline())
    finally:
        parent.kill()
        parent.communicate()
    deadline = time.monotonic() + 20
    while not ended(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (tmp_path / "in_order").exists()


def test_a_child_whose_parent_is_gone_already_ends_at_once():
    done = subprocess.run([sys.executable, "-c", CHILD, "999999999"], capture_output=True, timeout=20, check=False)
    assert done.returncode == -signal.SIGTERM
    assert done.stdout == b""


def test_the_largest_memory_grows_with_what_is_used():
    before = peak_rss_mb()
    block = bytearray(b"x") * int((before + 20) * 1e6)
    assert peak_rss_mb() >= before + 20
    assert len(block) > 0


def test_there_is_a_core_to_run_on():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def in_a_child(script):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.split()


def test_short_slices_keep_policy_and_nice():
    said = in_a_child(
        "import os; from reafference.process import wake_promptly\n"
        "before = os.nice(0)\n"
        "os.nice(3); print(wake_promptly(), os.sched_getscheduler(0), os.nice(0) - before)"
    )
    assert said[1:] == ["0", "3"]


def test_short_slices_are_granted_where_the_kernel_tells_of_them():
    shown = "print([line.split()[-1] for line in open('/proc/self/sched') if line.startswith('se.slice')])"
    before, after = in_a_child(f"{shown}\nfrom reafference.process import wake_promptly\nwake_promptly()\n{shown}")
    kernel = tuple(int(number) for number in os.uname().release.split(".")[:2])
    assert after == ("['100000']" if before != "[]" and kernel >= (6, 12) else before)


def test_a_machine_of_another_kind_is_left_alone(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert not wake_promptly()
