"""services.engine.loop: the answer of a slow participant counts when its own step has ended, however early it came."""

import time

import numpy as np
import pytest

from tests.engine.simulators import Echo, House

pytestmark = pytest.mark.timeout(60, method="thread")


class Counting(Echo):
    """A slow body that says how many steps it has made."""

    def outputs(self, step):
        return {"joints.echo": np.array(float(len(self.steps)))}


@pytest.mark.parametrize("who_dawdles", ["brain", "body"])
def test_a_slow_participant_is_heard_at_the_end_of_its_own_step(tmp_path, who_dawdles):
    """However fast it answers: what the others see must not depend on the wall clock."""
    house = House(tmp_path)
    house.simulators["body"] = Counting()
    house.simulators[who_dawdles].act = lambda step: time.sleep(0.02)
    house.write(
        "@transfer(reads='body.echo', writes='brain.drive')\ndef f(count): return count", steps=8, body="step_ms = 40"
    )
    house.run()
    assert house.simulators["brain"].seen("drive") == {0: 0, 1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 3}
