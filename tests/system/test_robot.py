"""A robot that an experiment brings along: run from the command line, recorded with the text of its file."""

import json

import pytest
import reaf

ROBOT = """<sdf version="1.6"><model name="lamp">
  <link name="foot"><inertial><mass>2</mass></inertial></link>
  <link name="arm"><pose>0 0 0.2 0 0 0</pose><inertial><mass>0.3</mass>
    <inertia><ixx>0.004</ixx><iyy>0.004</iyy><izz>0.0001</izz></inertia></inertial>
    <visual name="v"><geometry><box><size>0.02 0.02 0.4</size></box></geometry></visual></link>
  <joint name="screw" type="fixed"><parent>world</parent><child>foot</child></joint>
  <joint name="bend" type="revolute"><pose>0 0 -0.2 0 0 0</pose><parent>foot</parent><child>arm</child>
    <axis><xyz>0 1 0</xyz><limit><lower>-1</lower><upper>1</upper><effort>20</effort></limit></axis></joint>
</model></sdf>
"""
EXPERIMENT = """
[experiment]
name = "lamp"
steps = 30
step_ms = 20.0
seed = 1

[body]
model = "robot"
file = "robot/lamp.sdf"

[transfer]
{transfer}

[measures]
bent_rad = {{ reads = "body.joints.position.bend" }}

[[schedule]]
at_s = 0.1
to = "body"
what = "push"
arguments = {{ link = "arm", force_N = [0.0, 1.0, 0.0], duration_s = 0.05 }}
"""
OURS = """
from reafference import transfer


@transfer(writes="body.command.position.bend")
def bow(t):
    return 0.5
"""
PUBLISHED = """
import hbp_nrp_cle.tf_framework as nrp
from std_msgs.msg import Float64


@nrp.MapRobotPublisher("bend", Topic("/lamp/bend/cmd_pos", Float64))
@nrp.MapRobotSubscriber("joints", Topic("/lamp/joint_states", sensor_msgs.msg.JointState))
@nrp.Neuron2Robot()
def bow(t, bend, joints):
    if joints.value is not None and joints.value.name == ["bend"]:
        bend.send_message(Float64(0.5))
"""
DIALECTS = {
    "ours": ('file = "bow.py"', OURS),
    "published": ('dialect = "nrp"\nfiles = ["bow.py"]', PUBLISHED),
}


@pytest.fixture
def summary(tmp_path):
    """Runs the lamp with functions of one dialect; its summary."""
    made = iter(range(10))

    def run(dialect):
        folder = tmp_path / str(next(made))
        experiment = folder / "experiment"
        (experiment / "robot").mkdir(parents=True)
        table, functions = DIALECTS[dialect]
        (experiment / "robot" / "lamp.sdf").write_text(ROBOT)
        (experiment / "experiment.toml").write_text(EXPERIMENT.format(transfer=table))
        (experiment / "bow.py").write_text(functions)
        result = reaf.run(folder, experiment)
        assert result.status == 0, result.said
        return result.summary

    return run


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_joint_goes_where_a_function_wants_it(summary, dialect):
    assert summary(dialect)["measures"]["bent_rad"] == pytest.approx(0.5, abs=1e-3)


def test_a_run_is_the_same_every_time(summary):
    first, again = summary("ours"), summary("ours")
    assert first["digest"] == again["digest"] != ""
    assert json.dumps(first["measures"]) == json.dumps(again["measures"])


def test_a_file_that_is_not_there_is_said_before_anything_starts(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = EXPERIMENT.format(transfer='file = "bow.py"')
    (tmp_path / "experiment" / "experiment.toml").write_text(text)
    (tmp_path / "experiment" / "bow.py").write_text(OURS)
    result = reaf.run(tmp_path, tmp_path / "experiment")
    assert result.status != 0
    assert "body.file: expected a file that can be read, found 'robot/lamp.sdf'" in " ".join(result.said.split())
