"""`python -m services.recorder`: record a run, or do something with a recorded one.

(nothing)            join the engine and record what comes on the tap
export RUN [--out F] CSV and HDF5 of a run
figures RUN          draw the figures its experiment asks for
frames RUN           the frames of a run, step by step, as standard input asks for them
overview RUN         draw overview.png
stream RUN --topic T CSV of one stream, also while it is being recorded
rates RUN            mean rate of each recorded population, and rhythms
mend RUN             give a recording that was cut its index again, and a summary
verify RUN           compare the recording with the digests of the run
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from reafference import logs
from reafference.clock import Deadline
from reafference.config import ServiceConfig
from reafference.errors import DiskFull, EngineLost, Leaving, ReafferenceError
from reafference.frames import Bye, ErrorFrame, Frame, Halt, Halted, Ports, Prepare, Ready
from reafference.link import WireLink
from reafference.process import Leave, die_with, peak_rss_mb
from reafference.sockets import TapIn, Wires

from .sink import Sink

_GATHER_S = 0.004
_LAST_FRAMES_S = 10.0
_STRAGGLERS_S = 0.5
"""How long to wait for what the last document lists, where somebody may have died before it was sent."""


def main() -> int:
    """Run the tool named on the command line, or record; returns the exit status."""
    if len(sys.argv) > 1:
        from . import tools

        return tools.main(sys.argv[1:])
    leave = Leave()
    log = logs.configure("recorder")
    try:
        config = ServiceConfig.load("recorder", os.environ)
        die_with(config.parent_pid)
        log = logs.configure("recorder", config.log_level)
        with Wires(insecure=config.insecure, keys=config.ring()) as wires:
            tap = TapIn(wires, config.addresses.tap, config.doors.tap if config.doors else "")
            with WireLink(wires, config, "witness", leave) as link:
                link.waiting.add(tap)
                link.join()
                _Recorder(link, tap).run()
    except ReafferenceError as error:
        log.error("recorder left", code=error.code, text=error.text)
        return error.exit_status
    return 0


class _Recorder:
    """The loop: frames from the tap into the sink, credit and answers to the engine."""

    def __init__(self, link: WireLink, tap: TapIn) -> None:
        self._link, self._tap = link, tap
        self._sink: Sink | None = None
        self._failed = False

    def run(self) -> None:
        try:
            for frame in self._frames():
                if self._answer(frame):
                    return
        except EngineLost as error:
            self._close_broken_off("engine", error.text)
            raise
        except Leaving:
            self._close_broken_off("engine", "the run broke off: its engine did not end it")
            raise
        except ReafferenceError as error:
            self._fail(error)
            raise

    def _frames(self) -> Iterator[Frame]:
        """What the engine sends, while the tap is served in between."""
        while True:
            self._link.check()
            if self._link.waiting.until(self._sink.wait_ms() if self._sink else 250):
                # The first frame of a step comes while the engine, which everyone waits for, needs a core: let
                # the others gather meanwhile and take them together.
                time.sleep(_GATHER_S)
            self._serve_tap()
            yield from self._link.arrived()

    def _answer(self, frame: Frame) -> bool:
        """Whether this was the last one."""
        match frame:
            case Prepare():
                plan = frame.plan
                self._sink = Sink(Path(plan.folder), int(plan.settings["window_steps"]), run=plan.run)
                self._link.begin(plan.run)
                self._link.send(Ready(ports=Ports()))
            case Halt():
                self._halt(begun=frame.begun)
            case Bye():
                if self._failed and self._sink:
                    self._await_stop()
                    self._finish(self._sink)
                    self._sink.write_summary()
                self._link.send(Bye())
                return True
        return False

    def _serve_tap(self) -> None:
        if self._sink is None:
            return
        try:
            for parts in self._tap.receive():
                self._sink.take(parts)
            credit = self._sink.credit()
            if credit is not None:
                self._link.send(credit)
        except ReafferenceError as error:
            self._fail(error)

    def _await_stop(self) -> None:
        """The last frames may still be on their way: wire and tap have no common order."""
        deadline = Deadline.after_s(_LAST_FRAMES_S)
        while self._sink and not self._sink.stopped and not deadline.passed():
            self._link.waiting.until(50)
            self._serve_tap()
        # What the last document lists was sent before it, by others; of one who died it may never come.
        in_order = self._sink is not None and self._sink.stopped_in_order and not self._failed
        deadline = Deadline.after_s(_LAST_FRAMES_S if in_order else _STRAGGLERS_S)
        while self._sink and not self._sink.settled and not deadline.passed():
            self._link.waiting.until(10)
            self._serve_tap()

    def _halt(self, *, begun: bool) -> None:
        if begun:
            self._await_stop()
        steps = 0
        if self._sink:
            self._finish(self._sink)
            steps = self._sink.acknowledged
        if not self._failed:
            # What comes from now on belongs to another run, and waits until its recording is there.
            self._sink = None
        self._link.send(Halted(step=steps - 1, facts={"peak_rss_mb": peak_rss_mb()}))

    def _finish(self, sink: Sink) -> None:
        try:
            sink.finish()
        except DiskFull as error:
            self._fail(error)

    def _fail(self, error: ReafferenceError) -> None:
        """Say it once; frames that still come are taken and dropped."""
        if not self._failed:
            self._failed = True
            self._link.send(ErrorFrame(code=error.code, text=error.text, detail=error.detail))

    def _close_broken_off(self, service: str, text: str) -> None:
        if self._sink is None:
            return
        self._serve_tap()
        self._sink.finish(cause=self._sink.broken_off(service, text))


if __name__ == "__main__":
    sys.exit(main())
