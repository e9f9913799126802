"""Tap → file: takes frames, writes complete steps, gives credit back to the engine."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reafference import codec
from reafference.clock import NS_PER_MS
from reafference.errors import BadFrame, DiskFull, PeerLost
from reafference.frames import Clock, Packed, Recorded, RunStart, RunStop
from reafference.process import peak_rss_mb
from reafference.summary import summary_of
from reafference.topics import parsed

from .ledger import Complete, Entry, Ledger
from .reader import Run
from .store import Recording, write_summary

FLUSH_BYTES = 1024 * 1024
FLUSH_EVERY_NS = 200 * NS_PER_MS


class Sink:
    """One recording in the making. `window_steps` is how far the engine may run ahead of our credit; frames of
    another run than `run` are left out, unless none is named."""

    def __init__(self, folder: Path, window_steps: int, run: str = "") -> None:
        self._run = run
        self._recording = Recording(folder)
        self._ledger = Ledger()
        self._flush_steps = max(1, window_steps // 4)
        self._steps = self._acknowledged = 0
        self._pending_bytes = 0
        self._flushed_ns = time.monotonic_ns()
        self._start: RunStart | None = None
        self._stop: RunStop | None = None
        self._closed = False

    @property
    def stopped(self) -> bool:
        """Whether the last document of the run has come."""
        return self._stop is not None

    @property
    def stopped_in_order(self) -> bool:
        """Whether the last document has come, and names no fault."""
        return self._stop is not None and not self._stop.code

    @property
    def settled(self) -> bool:
        """Whether everything has come that the last document lists."""
        return self._stop is None or self._ledger.has_all(self._stop.seqs)

    @property
    def acknowledged(self) -> int:
        """How many complete steps are safe."""
        return self._acknowledged

    def take(self, parts: Sequence[Any]) -> None:
        """One frame from the tap.

        Raises SequenceGap, BadFrame, or DiskFull (the recording is then closed, with all that was acknowledged).
        """
        received = codec.decode(parts)
        if self._run and received.envelope.run != self._run:
            return  # a straggler of the run before, which has its recording already
        if self._closed:
            # The file is closed, but how the run ended still belongs into the summary.
            self._stop = received.frame if isinstance(received.frame, RunStop) else self._stop
            return
        packed = Packed(bytes(parts[0]), bytes(parts[1]), tuple(parts[2:]))
        frame, envelope = received.frame, received.envelope
        topic = parsed(received.topic).name
        entry = Entry(topic, envelope.seq, getattr(frame, "t_ns", 0), envelope.sent_ns, packed)
        match frame:
            case Clock():
                self._ledger.mark(frame.step, frame.seqs, entry)
            case RunStart():
                self._start = frame
                self._ledger.take(entry)
            case RunStop():
                self._stop = frame
                self._ledger.take(entry)
            case _:
                self._ledger.take(entry)
        for complete in self._ledger.complete():
            self._write(complete)

    def credit(self) -> Recorded | None:
        """Flush if it is time to; what may be acknowledged since the last call. Raises DiskFull."""
        if self._closed or self._acknowledged == self._steps or not self._due():
            return None
        self._flush()
        return Recorded(step=self._acknowledged - 1, bytes_written=self._recording.bytes_written)

    def wait_ms(self) -> int:
        """How long one may wait for more before `credit` is due."""
        if self._closed or self._acknowledged == self._steps:
            return 250
        return max(0, (self._flushed_ns + FLUSH_EVERY_NS - time.monotonic_ns()) // NS_PER_MS)

    def finish(self, *, cause: RunStop | None = None) -> None:
        """Write what is left and close; `cause` stands in for the last document if none came.

        Raises DiskFull, with everything acknowledged in place.
        """
        if self._closed:
            return
        if self._start is None:
            # The run never began; what was said before is of no use to anyone.
            self._recording.discard()
            self._closed = True
            return
        self._stop = self._stop or cause
        try:
            for entry in self._ledger.rest():
                self._add(entry)
            self._recording.finish()
            self._closed, self._acknowledged = True, self._steps
        except DiskFull as error:
            raise self._salvaged(error) from None
        finally:
            self.write_summary()

    def write_summary(self) -> None:
        """Put the summary beside the recording; a full disk is not a reason to fail twice."""
        if self._start is None:
            return
        stop = self._stop or self.broken_off("engine", "the run broke off")
        stop_rss = {**stop.peak_rss_mb, "recorder": peak_rss_mb()}
        summary = summary_of(stop, self._start) | {
            "run_folder": str(self._recording.folder),
            "peak_rss_mb": stop_rss,
            "recording": {
                "messages": self._recording.messages,
                "bytes": self._recording.bytes_written,
                "complete_steps": self._acknowledged,
            },
        }
        try:
            write_summary(self._recording.folder, summary)
        except OSError:
            return

    def broken_off(self, service: str, text: str) -> RunStop:
        """A last document for a run whose engine could not write one."""
        return broken_off(self._steps, self._start.dt_ns if self._start else 0, service, text)

    def _write(self, complete: Complete) -> None:
        if complete.step != self._steps:
            raise BadFrame(f"the commit mark of step {complete.step} came where step {self._steps} was due")
        for entry in complete.entries:
            self._add(entry)
        self._steps += 1

    def _add(self, entry: Entry) -> None:
        self._recording.add(entry.packed, entry.seq, entry.t_ns, entry.sent_ns)
        self._pending_bytes += len(entry.packed.header) + sum(len(part) for part in entry.packed.large)

    def _due(self) -> bool:
        return (
            self._steps - self._acknowledged >= self._flush_steps
            or self._pending_bytes >= FLUSH_BYTES
            or time.monotonic_ns() - self._flushed_ns >= FLUSH_EVERY_NS
        )

    def _flush(self) -> None:
        try:
            self._recording.flush()
        except DiskFull as error:
            raise self._salvaged(error) from None
        self._acknowledged, self._pending_bytes = self._steps, 0
        self._flushed_ns = time.monotonic_ns()

    def _salvaged(self, error: DiskFull) -> DiskFull:
        self._closed = True
        self._recording.salvage()
        last = self._acknowledged - 1
        kept = f"it holds every step up to {last}" if last >= 0 else "no step is in it"
        return DiskFull(f"{error.text}: the run was stopped, {kept}")


def broken_off(steps: int, dt_ns: int, service: str, text: str) -> RunStop:
    """The last document of a run of which `steps` steps are known to be complete."""
    return RunStop(
        step=steps - 1,
        t_ns=steps * dt_ns,
        outcome="fault",
        code=PeerLost.code,
        text=text,
        service=service,
        steps=steps,
        exit_status=PeerLost.exit_status,
    )


def broken_off_summary(run: Run) -> dict[str, Any]:
    """The summary of a recording whose recorder could not write one."""
    stop = run.stop or broken_off(run.steps, run.start.dt_ns, "recorder", "the recorder was lost")
    return summary_of(stop, run.start) | {
        "run_folder": str(run.folder),
        "recording": {"bytes": run.path.stat().st_size, "complete_steps": run.steps},
    }
