"""The socket that speaks the rosbridge protocol: topics of a simulation, for clients that know no others."""

import itertools
import json
import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .doors import Door
from .runs import LIMB, PATIENCE_S, Run, uploaded

STATUS, ERRORS, LOGS = (f"/ros_cle_simulation/{name}" for name in ("status", "cle_error", "logs"))
BREAKING = LIMB["transfer.py"].replace("return 0.5", "return 1 / (step - 5)")


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("home"), places=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def limb(door):
    return uploaded(door.otto)


@pytest.fixture(scope="module")
def shared(door, limb):
    """One that runs, in real time, for the tests that only look."""
    with Run(door.otto, limb) as run:
        run.built().put("/state", state="started")
        yield run


class Client:
    """Somebody who speaks rosbridge, and keeps what comes."""

    def __init__(self, door, path="/localhost", token=None):
        secret = door.secrets["vera"] if token is None else token
        mark = "&" if "?" in path else "?"
        address = f"{door.url.replace('http', 'ws', 1)}/rosbridge{path}{mark}token={secret}"
        self._stack = ExitStack()
        self.socket = self._stack.enter_context(connect(address, compression=None, max_size=None))
        self.came = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def say(self, **message):
        self.socket.send(json.dumps(message))

    def subscribe(self, *topics, **more):
        for topic in topics:
            self.say(op="subscribe", topic=topic, id=f"subscribe:{topic}", **more)
        return self

    def take(self, seconds):
        try:
            self.came.append(json.loads(self.socket.recv(seconds)))
        except TimeoutError:
            return False
        return True

    def until(self, true, seconds=PATIENCE_S):
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.came[-5:]
            self.take(0.5)
        return self

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.take(left)

    def of(self, topic):
        return [one["msg"] for one in self.came if one["op"] == "publish" and one["topic"] == topic]

    @property
    def states(self):
        """What the status messages that are no progress say, in order."""
        told = [json.loads(message["data"]) for message in self.of(STATUS)]
        return [one for one in told if "progress" not in one]

    @property
    def answers(self):
        return [one for one in self.came if one["op"] != "publish"]


def test_status_and_clock_come_again_and_again(door, shared):
    with Client(door, "") as client:
        client.subscribe(STATUS, "/clock").until(lambda: len(client.states) > 2)
        assert {one["state"] for one in client.states} == {"started"}
        assert set(client.states[0]) >= {
            "simulationTime",
            "realTime",
            "timeout",
            "timeoutType",
            "transferFunctionsElapsedTime",
            "brainsimElapsedTime",
            "robotsimElapsedTime",
        }
        nanoseconds = [c["clock"]["secs"] * 10**9 + c["clock"]["nsecs"] for c in client.of("/clock")]
        steps = {later - earlier for earlier, later in itertools.pairwise(nanoseconds)}
        assert steps == {20_000_000}


def test_a_wish_for_few_messages_is_granted(door, shared):
    with Client(door) as often, Client(door) as seldom:
        often.subscribe("/clock").until(lambda: often.of("/clock"))
        seldom.subscribe("/clock", throttle_rate=500)
        seldom.until(lambda: len(seldom.of("/clock")) > 2)
        few = seldom.of("/clock")
        often.until(lambda: few[-1] in often.of("/clock"))
        many = often.of("/clock")
        assert many.index(few[-1]) - many.index(few[0]) > 5 * (len(few) - 1)


def test_who_unsubscribes_hears_no_more(door, shared):
    with Client(door) as client:
        client.subscribe("/clock").until(lambda: client.of("/clock"))
        client.say(op="unsubscribe", topic="/clock")
        client.subscribe(STATUS).until(lambda: client.states)
        before = len(client.of("/clock"))
        client.until(lambda: len(client.states) > 1)
        assert len(client.of("/clock")) == before


def test_joints_and_muscles_come_as_ros_messages(door, shared):
    with Client(door) as client:
        client.say(op="call_service", service="/rosapi/topics", id="c1", args={})
        client.until(lambda: client.answers)
        (answer,) = client.answers
        assert (answer["op"], answer["id"], answer["result"]) == ("service_response", "c1", True)
        types = dict(zip(answer["values"]["topics"], answer["values"]["types"], strict=True))
        assert types[STATUS] == "std_msgs/String"
        assert types["/joint_states"] == "sensor_msgs/JointState"
        (muscles,) = (name for name, kind in types.items() if kind == "gazebo_ros_muscle_interface/MuscleStates")
        client.subscribe("/joint_states", muscles)
        client.until(lambda: client.of("/joint_states") and client.of(muscles))
        joints = client.of("/joint_states")[-1]
        assert len(joints["name"]) == len(joints["position"]) > 1
        assert set(joints["header"]["stamp"]) == {"secs", "nsecs"}
        found = client.of(muscles)[-1]["muscles"]
        assert len(found) == 8
        assert all({"name", "force", "length", "lengthening_speed"} <= set(one) for one in found)
        assert all(set(point) == set("xyz") for one in found for point in one["path_points"])
        assert muscles == "/gazebo_muscle_interface/robot/muscle_states"
        client.subscribe("/gazebo_muscle_interface/other_name/muscle_states", "/gazebo/link_states")
        client.until(lambda: client.of("/gazebo_muscle_interface/other_name/muscle_states"))
        client.until(lambda: client.of("/gazebo/link_states"))
        pose = client.of("/gazebo/link_states")[-1]["pose"][0]
        assert (set(pose["position"]), set(pose["orientation"])) == (set("xyz"), set("xyzw"))


def test_a_client_follows_the_simulations_of_its_server_one_after_the_other(door, limb, shared):
    with Client(door, "/localhost-2") as client:
        client.subscribe(STATUS, ERRORS).listen(0.5)
        assert client.states == []
        for number in (1, 2):
            with Run(door.otto, limb) as run:
                client.until(lambda: client.states and client.states[-1]["state"] == "paused")
                assert any("progress" in json.loads(message["data"]) for message in client.of(STATUS))
                run.put("/state", state="started")
                client.until(lambda: client.states[-1]["state"] == "started")
            client.until(lambda n=number: [one["state"] for one in client.states].count("stopped") == n)
        client.listen(1.5)
        assert [one["state"] for one in client.states].count("stopped") == 2
    with Client(door, f"?simulation={run.id[1:]}") as late:
        late.subscribe(STATUS).until(lambda: late.states)
        assert late.states[-1]["state"] == "stopped"


def test_errors_and_words_of_functions_are_told(door):
    breaking = uploaded(door.otto, LIMB | {"transfer.py": BREAKING}, name="breaking")
    with Run(door.otto, breaking) as run, Client(door, f"?simulation={run.id}") as client:
        client.subscribe(ERRORS).subscribe(LOGS, type="std_msgs/String")
        run.built().put("/state", state="started")
        client.until(lambda: client.of(ERRORS))
        (error,) = client.of(ERRORS)
        assert (error["sourceType"], error["errorType"]) == ("Transfer Function", "Runtime")
        assert (error["functionName"], error["lineText"]) == ("tell", "return 1 / (step - 5)")
        assert "division by zero" in error["message"]
        assert [one["data"] for one in client.of(LOGS)][:2] == ["tell: step 0", "tell: step 1"]


def test_what_is_not_there_is_answered_and_harms_nobody(door, shared):
    with Client(door) as client:
        client.socket.send("{")
        client.socket.send("[1]")
        client.socket.send(b"\x00")
        client.say(op="subscribe", id="s")
        client.say(op="dance", id="d")
        client.say(op="publish", topic="/cmd_vel", msg={}, id="p")
        client.say(op="advertise", topic="/cmd_vel", type="geometry_msgs/Twist")
        client.say(op="call_service", service="/gazebo/reset_world", id="g")
        client.say(op="set_level", level="none")
        client.socket.send(json.dumps({"op": "subscribe", "topic": "x" * 70_000}))
        client.until(lambda: len(client.answers) == 8)
        assert [one.get("id") for one in client.answers] == [None, None, None, "s", "d", "p", "g", None]
        failed = client.answers[6]
        assert (failed["op"], failed["result"]) == ("service_response", False)
        assert "/gazebo/reset_world" in failed["values"]
        client.subscribe(STATUS).until(lambda: client.states)


@pytest.mark.parametrize(
    ("path", "token", "code"),
    [("", "wrong", 4401), ("/localhost", "", 4401), ("/elsewhere", None, 4404), ("?simulation=99", None, 4404)],
)
def test_who_may_not_come_in_is_told_why(door, path, token, code):
    with Client(door, path, token) as client, pytest.raises(ConnectionClosed) as closed:
        client.take(PATIENCE_S)
    assert closed.value.rcvd.code == code
    assert closed.value.rcvd.reason
