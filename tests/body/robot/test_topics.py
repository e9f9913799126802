import pytest

from reafference.errors import BadExperiment

from .conftest import PENDULUM_SDF, ROVER_SDF

CONTROLLER = """<plugin name="c" filename="libgeneric_controller_plugin.so">
  <controller type="position"><joint_name>elbow</joint_name><topic>/lab/bend</topic></controller></plugin></model>"""


def topics(robot, way):
    return {entry["topic"]: entry for entry in robot.facts["topics"][way]}


def test_each_joint_has_the_topics_of_the_platform(pendulum):
    out, into = topics(pendulum, "out"), topics(pendulum, "in")
    for name in ("/joint_states", "/*/joint_states"):
        assert out[name] == {
            "topic": name,
            "type": "sensor_msgs/JointState",
            "fields": {part: f"joints.{part}" for part in ("position", "velocity", "effort")},
            "constants": {"name": ["shoulder", "elbow"]},
        }
    for ending, kind in (("cmd_pos", "position"), ("cmd_vel", "velocity"), ("cmd_effort", "effort")):
        assert into[f"/*/elbow/{ending}"] == {
            "topic": f"/*/elbow/{ending}",
            "type": "std_msgs/Float64",
            "fields": {"data": f"command.{kind}.elbow"},
        }


def test_models_and_links_are_told_by_the_name_that_the_experiment_gives(make):
    out = topics(make(PENDULUM_SDF, name="robot"), "out")
    assert out["/gazebo/model_states"]["constants"] == {"name": ["robot"]}
    assert out["/gazebo/model_states"]["fields"]["pose[0].position.z"] == "base.position.z"
    links = {"name": ["robot::mount", "robot::upper", "robot::lower"]}
    assert out["/gazebo/link_states"]["constants"] == links


def test_a_controller_names_its_own_topic(make):
    robot = make(PENDULUM_SDF.replace("</model>", CONTROLLER))
    assert topics(robot, "in")["/lab/bend"]["fields"] == {"data": "command.position.elbow"}


def test_a_drive_takes_twists_and_tells_where_it_is(rover):
    for name in ("/fleet/one/go", "/*/cmd_vel"):
        assert topics(rover, "in")[name]["type"] == "geometry_msgs/Twist"
        assert topics(rover, "in")[name]["fields"] == {"linear.x": "velocity.linear", "angular.z": "velocity.angular"}
    odometry = topics(rover, "out")["/fleet/one/odom"]
    assert odometry["type"] == "nav_msgs/Odometry"
    assert odometry["fields"]["pose.pose.position.x"] == "base.position.x"
    assert odometry["fields"]["twist.twist.angular.z"] == "drive.velocity.angular"


def test_sensors_have_the_topics_of_their_plugins_and_usual_ones(rover):
    out = topics(rover, "out")
    for name in ("/rover/front/image_raw", "/*/eye/image_raw"):
        assert out[name]["type"] == "sensor_msgs/Image"
        assert out[name]["fields"] == {"data": "camera/eye.image"}
    assert out["/imu"]["fields"]["linear_acceleration.z"] == "imu/feel.linear_acceleration.z"


def test_every_field_of_every_topic_is_a_port_or_an_element_of_one(rover, pendulum):
    for robot in (rover, pendulum):
        for way, ports in (("out", robot.ports.outputs), ("in", robot.ports.inputs)):
            known = {port.name for port in ports} | {f"{port.name}.{label}" for port in ports for label in port.labels}
            for entry in robot.facts["topics"][way]:
                assert set(entry["fields"].values()) <= known, entry["topic"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "<leftJoint>left_hub",
            "<leftJoint>hub",
            "line 37: the drive 'libgazebo_ros_diff_drive.so' names joints that .*: hub",
        ),
        ("<wheelDiameter>0.2<", "<wheelDiameter>wide<", "<wheeldiameter> must be a number, not 'wide'"),
        ("<wheelDiameter>0.2<", "<wheelDiameter>0<", "needs <wheelDiameter> and <wheelSeparation> above 0"),
    ],
)
def test_a_drive_that_cannot_be_understood_is_refused_with_its_line(make, old, new, words):
    assert old in ROVER_SDF
    with pytest.raises(BadExperiment, match=words):
        make(ROVER_SDF.replace(old, new))
