"""Modules of ROS and of the platform, as published files import them."""

import math
import sys

import numpy as np
import pytest

from services.engine.dialects.nrp import messages, pictures, transformations
from services.engine.dialects.nrp.imports import Imports
from services.engine.dialects.nrp.times import Duration, Time

FUNCTION = """
{}
@nrp.MapVariable("seen", scope=nrp.GLOBAL)
@nrp.Robot2Neuron()
def function(t, seen):
    {}
"""


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("import rospy", "rospy.Time.from_sec(1.5).nsecs"),
        ("import rospy as r", "r.Duration(2).to_sec()"),
        ("from rospy import Time, loginfo", "Time(1, 5).to_nsec()"),
        ("import std_msgs.msg", "std_msgs.msg.Float64(0.5).data"),
        ("import geometry_msgs", "geometry_msgs.msg.Twist().linear.x"),
        ("from geometry_msgs.msg import Twist, Vector3", "Twist(linear=Vector3(x=2.0)).linear.x"),
        ("from sensor_msgs.msg import *", "JointState(name=['a']).name"),
        ("import sensor_msgs.msg as s", "s.Image().encoding"),
        ("from nav_msgs.msg import Odometry", "Odometry().pose.covariance[35]"),
        ("from rosgraph_msgs.msg import Clock", "Clock().clock.secs"),
        ("import cle_ros_msgs.msg", "cle_ros_msgs.msg.SpikeEvent().spikes"),
        ("from cv_bridge import CvBridge, CvBridgeError", "CvBridge is not None"),
        ("from tf.transformations import euler_from_quaternion", "euler_from_quaternion([0, 0, 0, 1])"),
        ("import tf", "tf.transformations.quaternion_from_euler(0, 0, 0)[3]"),
        ("from tf import transformations", "transformations.quaternion_about_axis(0, [1, 0, 0])[3]"),
        ("import hbp_nrp_cle.tf_framework.tf_lib", "hbp_nrp_cle.tf_framework.tf_lib.detect_red(None).left"),
        ("from hbp_nrp_cle.tf_framework import tf_lib", "tf_lib.detect_red(image=None).go_on"),
        ("import hbp_nrp_cle.tf_framework as other", "other.GLOBAL == nrp.GLOBAL"),
        ("import numpy as numbers", "numbers.pi"),
        ("import os.path", "os.path.basename('/a/b')"),
        ("", "np.zeros(3)"),
        ("", "Point(1, 2, 3).y + Pose().orientation.w"),
        ("", "list(xrange(3)) + [unicode('x'), long(3)]"),
    ],
)
def test_published_imports_work_at_the_top_and_within_functions(stand, line, value):
    made = stand({"top.py": FUNCTION.format(line, f"seen.value = [{value}]")})
    assert made.texts() == []
    assert len(made.global_("seen")) == 1
    if not line.endswith("*"):
        made = stand({"within.py": FUNCTION.format("", f"{line or 'pass'}; seen.value = [{value}]")})
        assert made.texts() == []


def test_shims_are_for_published_files_only(stand):
    stand(FUNCTION.format("import rospy, geometry_msgs.msg", "import tf.transformations"))
    assert not {"rospy", "geometry_msgs", "tf", "hbp_nrp_cle"} & set(sys.modules)
    with pytest.raises(ModuleNotFoundError):
        __import__("rospy")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import moveit_commander", "the module 'moveit_commander' is not to be had here: of ROS and the platform"),
        ("from gazebo_msgs.srv import ApplyBodyWrench", "the module 'gazebo_msgs.srv' is not to be had here"),
        ("import hbp_nrp_cle.brainsim", "the module 'hbp_nrp_cle.brainsim' is not"),
        ("from rospy import ServiceProxy", "rospy.ServiceProxy is not to be had here: there are no services"),
        ("import rospy\nrospy.Publisher('/a', 1)", "write @nrp.MapRobotPublisher('name', Topic('/topic', Type)) above"),
        ("from std_msgs.msg import Flaot64", "std_msgs.msg.Flaot64 is not to be had here (did you mean 'Float64'?)"),
        ("nrp.set_nest_adapter(3)", "hbp_nrp_cle.tf_framework.set_nest_adapter is not to be had here: brain and"),
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
    ],
)
def test_what_is_not_there_is_refused_by_its_name(stand, line, words):
    made = stand(FUNCTION.format(line, "pass"))
    (message,) = made.messages
    assert words in message.text
    assert message.line == line.count("\n") + 1
    within = stand(FUNCTION.format("", f"exec({line!r})") if "\n" in line else FUNCTION.format("", line))
    assert words in within.texts()[0]


def test_modules_of_the_experiment_see_the_shims_too_and_are_new_in_each_run(stand, tmp_path):
    (tmp_path / "helper.py").write_text("import rospy\nfrom std_msgs.msg import Float64\nCALLS = []\n")
    text = FUNCTION.format("from helper import CALLS", "CALLS.append(t); seen.value = len(CALLS)")
    assert stand(text).run(2).global_("seen") == 3
    assert stand(text).run(1).global_("seen") == 2
    assert "helper" not in sys.modules


def test_time_is_simulated(stand):
    seen = "seen.value = (rospy.Time.now().to_sec(), rospy.get_time(), rospy.is_shutdown())"
    assert stand(FUNCTION.format("import rospy", seen)).run(3).global_("seen") == (0.06, 0.06, False)


def test_times_reckon():
    assert Time(1, 999_999_999) + Duration(0, 2) == Time(2, 1)
    assert Time(2) - Time(0, 500_000_000) == Duration(1.5)
    assert (Duration(1.25).secs, Duration(1.25).nsecs) == (1, 250_000_000)
    assert Time(1) < Time(1, 1) <= Time(1, 1)
    assert (2 * Duration(1.5)).to_sec() == 3.0
    assert not Time()
    assert (-Duration(1.5)).to_sec() == -1.5


def test_every_message_has_its_defaults_and_only_its_fields():
    for name in messages.known_types():
        made = messages.message_type(name)()
        assert made == messages.message_type(name)()
        with pytest.raises(AttributeError):
            made.no_such_field = 1
    twist = messages.message_type("geometry_msgs/Twist")
    assert twist().linear is not twist().linear
    with pytest.raises(AttributeError, match="did you mean 'linear'"):
        twist(linaer=1)
    with pytest.raises(TypeError, match="has 2 fields"):
        twist(1, 2, 3)
    assert repr(twist()).startswith("Twist(linear=Vector3(x=0.0")


def test_pictures_turn_into_arrays_and_back():
    bridge = pictures.CvBridge()
    colours = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    message = bridge.cv2_to_imgmsg(colours, "bgr8")
    assert (message.height, message.width, message.step) == (4, 6, 18)
    assert (bridge.imgmsg_to_cv2(message) == colours).all()
    assert (bridge.imgmsg_to_cv2(message, "rgb8") == colours[..., ::-1]).all()
    assert bridge.imgmsg_to_cv2(message, "mono8").shape == (4, 6)
    grey = bridge.cv2_to_imgmsg(colours[..., 0], "mono8")
    assert (bridge.imgmsg_to_cv2(grey, "rgb8")[..., 1] == colours[..., 0]).all()
    depth = bridge.cv2_to_imgmsg(np.ones((2, 2), np.float32))
    assert depth.encoding == "32FC1"
    assert (bridge.imgmsg_to_cv2(depth, "passthrough") == 1.0).all()
    for wrong in (lambda: bridge.imgmsg_to_cv2(message, "yuv422"), lambda: bridge.imgmsg_to_cv2(None)):
        with pytest.raises(pictures.CvBridgeError):
            wrong()


def test_red_is_found_on_the_side_where_it_is():
    picture = np.full((10, 20, 3), 90, np.uint8)
    picture[:, :5] = [200, 0, 0]
    found = pictures.detect_red(pictures.CvBridge().cv2_to_imgmsg(picture, "rgb8"))
    assert (found.left, found.right, found.go_on) == (0.5, 0.0, 0.75)


@pytest.mark.parametrize("angles", [(0.1, -0.2, 0.3), (3.0, 1.2, -2.5), (0.0, math.pi / 2, 0.0), (0.0, 0.0, math.pi)])
def test_turns_come_back_as_the_same_turn(angles):
    quaternion = transformations.quaternion_from_euler(*angles)
    matrix = transformations.quaternion_matrix(quaternion)
    again = transformations.quaternion_from_euler(*transformations.euler_from_quaternion(quaternion))
    assert transformations.quaternion_matrix(again) == pytest.approx(matrix, abs=1e-7)
    assert transformations.quaternion_matrix(transformations.quaternion_from_matrix(matrix)) == pytest.approx(
        matrix, abs=1e-9
    )
    back = transformations.quaternion_multiply(quaternion, transformations.quaternion_inverse(quaternion))
    assert back == pytest.approx([0, 0, 0, 1], abs=1e-12)


def test_turns_are_about_fixed_axes():
    x, y, z = math.sin(0.35), math.cos(0.35), 0.0
    assert transformations.quaternion_from_euler(0.7, 0, 0) == pytest.approx([x, 0, 0, y])
    matrix = transformations.euler_matrix(0.0, 0.0, math.pi / 2)
    assert matrix[:3, :3] @ [1, 0, 0] == pytest.approx([0, 1, 0])
    both = transformations.euler_matrix(math.pi / 2, 0.0, math.pi / 2)[:3, :3]
    assert both @ [0, 1, 0] == pytest.approx([0, z, 1])


def test_the_page_for_people_lists_every_shim(stand):
    from pathlib import Path

    import services.engine

    made = stand(FUNCTION.format("", "pass"))
    imports = made.script._imports
    assert isinstance(imports, Imports)
    page = (Path(services.engine.__file__).parent / "PUBLISHED.md").read_text()
    for name in imports.names():
        assert f"`{name}`" in page, name
    for name in messages.known_types():
        assert name.split("/")[1] in page, name
