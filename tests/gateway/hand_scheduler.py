"""A scheduler that is moved by hand, and what a job would leave in its folder."""

import json
import time
from pathlib import Path

from services.gateway.schedulers.scheduler import Node, Offer, Partition, Refused, Seen, Silent


class Hand:
    """A scheduler that does what it is told by hand. `jobs` are the folders it has taken, by its own numbers."""

    shared = True

    def __init__(self):
        self.jobs, self.seen = {}, {}
        self.cancelled, self.asked = [], 0
        self.trouble = self.refusal = self.lost_answer = self.offer_blocks = None

    def submit(self, folder, script):
        assert (folder / script).is_file()
        if self.refusal:
            raise Refused(self.refusal)
        number = str(100 + len(self.jobs))
        if self.lost_answer != "before":
            self.jobs[number] = folder
            self.seen[number] = Seen(phase="waiting", word="PENDING", reason="Resources")
        if self.lost_answer:
            raise Silent("sbatch has not answered within 30 s")
        return number

    def find(self, folder):
        self._speak()
        return next((number for number, place in self.jobs.items() if place == folder), None)

    def look(self, ids):
        self.asked += 1
        self._speak()
        return {id: self.seen[id] for id in ids if id in self.seen}

    def cancel(self, id):
        self._speak()
        self.cancelled.append(id)
        self.seen[id] = Seen(phase="ended", word="CANCELLED")

    def nodes(self):
        return tuple(Node(name=f"n{n}", state="idle", cores=4) for n in range(4))

    def offer(self):
        if self.offer_blocks:
            self.offer_blocks.wait(10.0)
        return Offer(partitions=(Partition(name="debug", nodes=4, default=True),))

    def fetch(self, id, folder, names):
        pass

    def put(self, id, folder, name, content):
        (folder / name).write_bytes(content)

    def forget(self, id):
        pass

    def close(self):
        pass

    def _speak(self):
        if self.trouble:
            raise Silent(self.trouble)

    def run(self, number):
        self.seen[number] = Seen(phase="running", word="RUNNING", nodes=("n0", "n1"), started_at=time.time())

    def end(self, number, word):
        self.seen[number] = Seen(phase="ended", word=word)


def say(folder: Path, **words):
    (folder / "status.json").write_text(json.dumps({"at": time.time()} | words))


def serve(folder: Path):
    say(folder, state="serving", text="it serves", address="127.0.0.1", port=40000, ready_after_s=2.5)
