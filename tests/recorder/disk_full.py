"""Records into a folder until its disk is full; says in one line of JSON what happened.

`python -m tests.recorder.disk_full FOLDER BYTES [LIMIT]`: frames with BYTES of noise; with LIMIT no file of this
process can grow beyond that, as on a full disk.
"""

import json
import resource
import sys
from pathlib import Path

from reafference.errors import DiskFull
from services.recorder.sink import Sink
from tests.recorder.tape import Tape, copied


def main() -> None:
    folder, noise = Path(sys.argv[1]), int(sys.argv[2])
    if len(sys.argv) > 3:
        limit = int(sys.argv[3])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    tape, sink = Tape(noise=noise, camera=False), Sink(folder, window_steps=4)
    acknowledged, raised = -1, []
    frames = [tape.start(), *tape.step()]
    for _ in range(2000):
        try:
            for packed in frames:
                sink.take(copied(packed))
            credit = sink.credit()
            acknowledged = credit.step if credit else acknowledged
        except DiskFull as error:
            raised.append((acknowledged, error.text))
            break
        frames = tape.step()
    # What still comes, and the end, must not fail a second time.
    try:
        for packed in [*tape.step(), tape.stop()]:
            sink.take(copied(packed))
        late = sink.credit()
        sink.finish()
        sink.write_summary()
    except DiskFull as error:
        raised.append((acknowledged, error.text))
        late = None
    print(json.dumps({"raised": raised, "late": late is not None, "acknowledged": sink.acknowledged}))


if __name__ == "__main__":
    main()
