"""What the arguments of published functions stand for, and when functions are called."""

import numpy as np
import pytest

from services.engine.dialects.nrp.selections import Brain, chain_neurons, chosen, map_neurons, nrange

JOINTS = """
@nrp.MapRobotSubscriber("joints", Topic("/joint_states", sensor_msgs.msg.JointState))
@nrp.MapVariable("seen", initial_value=None, scope=nrp.GLOBAL)
{direction}
def function(t, joints, seen):
    seen.value = (seen.value or []) + [{read}]
"""


# --- neurons -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "expressions", "grouped"),
    [
        (lambda b: b.actors, ["actors"], False),
        (lambda b: b.actors[3], ["actors[3]"], False),
        (lambda b: b.actors[-1], ["actors[-1]"], False),
        (lambda b: b.actors[0:8:2], ["actors[0:8:2]"], False),
        (lambda b: b.actors[:5], ["actors[:5]"], False),
        (lambda b: b.actors[[0, 2]], ["actors[0] + actors[2]"], False),
        (lambda b: b.actors[np.array([True, False, True])], ["actors[0] + actors[2]"], False),
        (lambda b: b.actors[nrange(0, 6, 3)], ["actors[0:6:3]"], False),
        (lambda b: b.actors[2:8][1], ["actors[3]"], False),
        (lambda b: b.actors[2:8][1:3], ["actors[3:5:1]"], False),
        (lambda b: b.a + b.b[1], ["a + b[1]"], False),
        (lambda b: map_neurons(range(2), lambda i: b.a[i]), ["a[0]", "a[1]"], True),
        (lambda b: map_neurons(2, lambda i: b.a[2 * i : 2 * i + 2]), ["a[0:2]", "a[2:4]"], True),
        (lambda b: chain_neurons(b.a[0], map_neurons(2, lambda i: b.b[i])), ["a[0]", "b[0]", "b[1]"], True),
        (lambda b: [b.a, b.b], ["a", "b"], True),
    ],
)
def test_neurons_become_expressions_of_the_brain(selection, expressions, grouped):
    each, group = chosen(selection(Brain()))
    assert ([one.expression for one in each], group) == (expressions, grouped)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda b: chosen(b), "name a population"),
        (lambda b: chosen(3), "expected neurons"),
        (lambda b: len(b.a), "the size of nrp.brain.a is not known"),
        (lambda b: list(b.a), "cannot be gone through"),
        (lambda b: b.a["x"], "a number, a range or a list"),
        (lambda b: (b.a + b.b)[0], "behind each of them"),
        (lambda b: b.a[3:][0:1], "write both in one"),
    ],
)
def test_what_cannot_be_known_before_there_is_a_brain_is_refused(wrong, words):
    with pytest.raises(TypeError, match=words):
        wrong(Brain())


# --- directions ----------------------------------------------------------------------------------------------

NOTE = """
@nrp.MapVariable("order", initial_value=None, scope=nrp.GLOBAL)
{}
def {}(t, order):
    order.value = (order.value or []) + ["{}"]
"""


def test_all_robot_to_neuron_functions_come_first_then_by_priority_and_name(stand):
    named = {"b": "@nrp.Neuron2Robot()", "a": "@nrp.Neuron2Robot()", "z": "@nrp.Robot2Neuron()", "y": "@Robot2Neuron()"}
    files = {f"{name}.py": NOTE.format(direction, name, name) for name, direction in named.items()}
    made = stand(files, 'priorities = { "b.py" = 3 }').run(1)
    assert made.global_("order") == ["y", "z", "b", "a"] * 2
    assert [one["direction"] for one in made.transfer.described()] == ["body to brain"] * 2 + ["brain to body"] * 2


def test_the_direction_may_stand_above_the_mappings(stand):
    text = """
    @nrp.Robot2Neuron()
    @nrp.MapVariable("count", initial_value=0)
    def function(t, count):
        count.value += 1
    """
    assert stand(text).run(2).state("function") == {"count": 3}


def test_a_function_without_a_direction_gets_it_from_its_nearest_mapping(stand):
    sink = '@nrp.MapSpikeSink("x", nrp.brain.relays[0], nrp.population_rate)\ndef sink(t, x):\n    pass\n'
    source = '@nrp.MapSpikeSource("x", nrp.brain.relays[0], nrp.poisson)\ndef source(t, x):\n    pass\n'
    made = stand({"sink.py": sink, "source.py": source})
    assert [(f["name"], f["direction"]) for f in made.transfer.described()] == [
        ("source", "body to brain"),
        ("sink", "brain to body"),
    ]


def test_inactive_files_begin_switched_off(stand):
    files = {f"{name}.py": NOTE.format("@nrp.Robot2Neuron()", name, name) for name in "ab"}
    made = stand(files, 'inactive = ["a.py"]').run(1)
    assert made.global_("order") == ["b", "b"]
    made.edit("switch", "a", True).run(1)
    assert made.global_("order") == ["b", "b", "a", "b"]


# --- subscribers ---------------------------------------------------------------------------------------------


def test_a_subscriber_is_empty_until_the_body_has_sent_something(stand):
    made = stand(JOINTS.format(direction="@nrp.Robot2Neuron()", read="(joints.value is None, joints.changed)")).run(2)
    assert made.global_("seen") == [(True, False), (False, True), (False, True)]


def test_a_function_that_did_not_expect_an_empty_topic_is_not_switched_off_for_it(stand):
    made = stand(JOINTS.format(direction="@nrp.Robot2Neuron()", read="joints.value.position[0]")).run(2)
    assert len(made.global_("seen")) == 2
    (message,) = made.messages
    assert message.severity == "info"
    assert "nothing has come from /joint_states yet" in message.text


def test_a_function_that_waits_for_what_another_one_sets_is_not_switched_off_either(stand):
    files = {
        "feel.py": """
            @nrp.MapRobotSubscriber("camera", Topic("/husky/camera", sensor_msgs.msg.Image))
            @nrp.MapVariable("height", scope=nrp.GLOBAL)
            @nrp.Robot2Neuron()
            def feel(t, camera, height):
                height.value = camera.value.height
            """,
        "act.py": """
            @nrp.MapVariable("height", scope=nrp.GLOBAL)
            @nrp.MapVariable("doubled")
            @nrp.Neuron2Robot()
            def act(t, height, doubled):
                doubled.value = 2 * height.value
            """,
    }
    made = stand(files, body="husky_room").run(3)
    assert {message.severity for message in made.messages} == {"info"}
    assert made.state("act") == {"doubled": 480}
    # Once everything has come a None is a mistake like others.
    made.edit("delete", "feel")
    made.script._house.variables["height"] = None
    made.run(1)
    assert made.messages[-1].severity == "error"


def test_another_mistake_in_the_first_call_is_one(stand):
    made = stand(JOINTS.format(direction="@nrp.Robot2Neuron()", read="joints.position"))
    (message,) = made.messages
    assert "'Subscriber' object has no attribute 'position'" in message.text
    assert message.severity == "error"


def test_joint_states_have_the_fields_of_ros(stand):
    read = "joints.value"
    made = stand(JOINTS.format(direction="@nrp.Robot2Neuron()", read=read)).run(3)
    message = made.global_("seen")[-1]
    assert message.name == ["shoulder_yaw", "shoulder_pitch", "elbow", "wrist", "stick_lateral", "stick_sagittal"]
    assert message.position == made.transfer.values["body"]["joints.position"].tolist()
    assert message.velocity == made.transfer.values["body"]["joints.velocity"].tolist()
    assert (message.header.stamp.to_sec(), message.header.frame_id) == (0.06, "")


def test_muscles_come_as_a_list_of_states_with_their_path_points(stand):
    text = """
    from gazebo_ros_muscle_interface.msg import MuscleStates
    @nrp.MapRobotSubscriber("muscles", Topic("/gazebo_muscle_interface/robot/muscle_states", MuscleStates))
    @nrp.MapVariable("seen", scope=nrp.GLOBAL)
    @nrp.Robot2Neuron()
    def function(t, muscles, seen):
        seen.value = dict((m.name, m) for m in muscles.value.muscles) if muscles.value else None
    """
    made = stand(text).run(2)
    muscles, values = made.global_("seen"), made.transfer.values["body"]
    assert list(muscles) == ["Foot1", "Foot2", "Radius1", "Radius2", "Humerus1", "Humerus2", "Humerus3", "Humerus4"]
    assert [m.force for m in muscles.values()] == values["muscles.force"].tolist()
    assert [m.lengthening_speed for m in muscles.values()] == values["muscles.velocity"].tolist()
    points = [[p.x, p.y, p.z] for m in muscles.values() for p in m.path_points]
    assert points == values["muscle_points.position"].tolist()


def test_a_muscle_is_activated_by_its_topic_whatever_the_robot_is_called(stand):
    text = """
    from std_msgs.msg import Float64
    @nrp.MapRobotPublisher("foot", Topic("/gazebo_muscle_interface/my_mouse/Foot1/cmd_activation", Float64))
    @nrp.MapRobotPublisher("radius", Topic("/gazebo_muscle_interface/robot/Radius2/cmd_activation", Float64))
    @nrp.Neuron2Robot(Topic("/robot/elbow/cmd_effort", std_msgs.msg.Float64))
    def function(t, foot, radius):
        foot.send_message(Float64(0.75))
        radius.send_message(0.25)
        return 0.001
    """
    made = stand(text).run(5)
    assert made.texts() == []
    assert made.transfer.values["body"]["muscles.excitation"].tolist() == [0.75, 0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0]
    assert made.transfer.values["body"]["muscles.activation"][0] > 0.5
    assert made.transfer.inputs["body"]["effort"][2] == 0.001


def test_nothing_is_sent_where_a_function_returns_none(stand):
    text = """
    @nrp.Neuron2Robot(Topic("/gazebo_muscle_interface/robot/Foot1/cmd_activation", std_msgs.msg.Float64))
    def function(t):
        return std_msgs.msg.Float64(0.5) if t == 0 else None
    """
    made = stand(text).run(2)
    assert made.transfer.inputs["body"]["excitation"][0] == 0.5


def test_a_robot_drives_and_tells_where_it_is(stand):
    text = """
    from nav_msgs.msg import Odometry
    import geometry_msgs.msg
    @nrp.MapRobotSubscriber("odom", Topic("/husky/odom", Odometry))
    @nrp.MapRobotSubscriber("states", Topic("/gazebo/model_states", gazebo_msgs.msg.ModelStates))
    @nrp.MapRobotSubscriber("links", Topic("/gazebo/link_states", "gazebo_msgs/LinkStates"))
    @nrp.MapVariable("seen", scope=nrp.GLOBAL)
    @nrp.Neuron2Robot(Topic("/husky/husky/cmd_vel", geometry_msgs.msg.Twist))
    def function(t, odom, states, links, seen):
        seen.value = (odom.value, states.value, links.value)
        return geometry_msgs.msg.Twist(linear=geometry_msgs.msg.Vector3(0.5, 0.0, 0.0))
    """
    made = stand(text, body="husky_room").run(80)
    assert made.texts() == []
    odometry, states, links = made.global_("seen")
    place, turn = odometry.pose.pose.position, odometry.pose.pose.orientation
    values = made.transfer.values["body"]
    assert [place.x, place.y, place.z] == values["base.position"].tolist()
    assert [turn.w, turn.x, turn.y, turn.z] == values["base.orientation"].tolist()
    assert abs(place.x) > 0.5
    assert odometry.twist.twist.linear.x == values["base.velocity"][0]
    assert states.pose[states.name.index("robot")] == odometry.pose.pose
    assert len(links.name) == len(links.pose) == 5
    assert links.pose[0].orientation == turn


def test_a_camera_sends_pictures_now_and_then(stand):
    text = """
    from cv_bridge import CvBridge
    @nrp.MapRobotSubscriber("camera", Topic("/husky/camera", sensor_msgs.msg.Image))
    @nrp.MapVariable("seen", initial_value=None, scope=nrp.GLOBAL)
    @nrp.Robot2Neuron(triggers="camera")
    def function(t, camera, seen):
        picture = CvBridge().imgmsg_to_cv2(camera.value, "rgb8")
        assert picture.shape == (240, 320, 3) and (camera.value.height, camera.value.width) == (240, 320)
        assert (CvBridge().imgmsg_to_cv2(camera.value, "bgr8")[..., 0] == picture[..., 2]).all()
        found = hbp_nrp_cle.tf_framework.tf_lib.detect_red(camera.value)
        seen.value = (seen.value or []) + [(t, found.left, found.right, found.go_on)]
    """
    made = stand(text, body="husky_room").run(12)
    assert made.texts() == []
    seen = made.global_("seen")
    assert [round(t, 3) for t, *_ in seen] == [0.04, 0.08, 0.12, 0.16, 0.2, 0.24]
    assert all(left == right == 0.0 and go_on == 1.0 for _, left, right, go_on in seen)


# --- topics that are not the body's --------------------------------------------------------------------------


def test_an_unknown_topic_is_told_with_the_nearest_one_at_the_line_of_its_decorator(stand):
    text = JOINTS.format(direction="@nrp.Robot2Neuron()", read="1").replace("/joint_states", "/joint_state")
    made = stand(text).run(1)
    (message,) = made.messages
    assert "the body sends nothing on the topic '/joint_state' (did you mean '/joint_states'?)" in message.text
    assert (message.line, message.function) == (1, "function")
    assert made.function("function")["problem"]["line"] == 1


def test_a_topic_has_messages_of_its_type(stand):
    text = JOINTS.format(direction="@nrp.Robot2Neuron()", read="1").replace("JointState)", "Image)")
    (message,) = stand(text).messages
    assert "has messages of the type sensor_msgs/JointState, not sensor_msgs/Image" in message.text


def test_who_publishes_to_what_is_sent_is_told_so(stand):
    text = """
    @nrp.MapRobotPublisher("joints", Topic("/joint_states", sensor_msgs.msg.JointState))
    @nrp.Robot2Neuron()
    def function(t, joints):
        pass
    """
    (message,) = stand(text).messages
    assert "which it sends: subscribe to it" in message.text


@pytest.mark.parametrize("decorator", ["MapRobotPublisher('out', {}) @Robot2Neuron()", "Neuron2Robot({})"])
def test_what_only_people_looked_at_may_be_sent(stand, decorator):
    lines = decorator.format("Topic('/filtered/picture', std_msgs.msg.Float64)").replace(" @", "\n    @nrp.")
    arguments = "t, out, seen" if "out" in decorator else "t, seen"
    made = stand(f"""
    @nrp.{lines}
    @nrp.MapVariable("seen", initial_value=0, scope=nrp.GLOBAL)
    def function({arguments}):
        seen.value = seen.value + 1
        return std_msgs.msg.Float64(0.5)
    """).run(2)
    assert (made.texts(), made.global_("seen")) == ([], 3)


def test_a_slip_in_the_name_of_a_topic_is_not_taken_for_one_of_these(stand):
    text = """
    @nrp.Neuron2Robot(Topic("/gazebo_muscle_interface/robot/Foot9/cmd_activation", std_msgs.msg.Float64))
    def function(t):
        return 0.5
    """
    (message,) = stand(text).messages
    assert "the body takes nothing from the topic '/gazebo_muscle_interface/robot/Foot9" in message.text


def test_an_experiment_can_have_topics_of_its_own(stand):
    more = """
    [transfer.topics.stick]
    topic = "/joystick"
    type = "sensor_msgs/JointState"
    fields = { position = "joints.position", "velocity" = "joints.velocity" }
    constants = { name = ["a", "b", "c", "d", "e", "f"] }

    [transfer.topics.pull]
    topic = "/pull"
    type = "sensor_msgs/JointState"
    fields = { effort = "effort" }

    [transfer.topics.talk]
    topic = "/talk"
    type = "std_msgs/String"
    """
    files = {
        "send.py": """
            @nrp.MapRobotPublisher("talk", Topic("/talk", std_msgs.msg.String))
            @nrp.MapRobotPublisher("pull", Topic("/pull", sensor_msgs.msg.JointState))
            @nrp.Robot2Neuron()
            def send(t, talk, pull):
                talk.send_message(std_msgs.msg.String(f"it is {t:g}"))
                pull.send_message(sensor_msgs.msg.JointState(name=["wrist", "elbow"], effort=[0.001, 0.002]))
            """,
        "hear.py": """
            @nrp.MapRobotSubscriber("talk", Topic("/talk"))
            @nrp.MapRobotSubscriber("stick", Topic("/joystick"))
            @nrp.MapRobotSubscriber("clock", Topic("/clock"))
            @nrp.MapVariable("seen", scope=nrp.GLOBAL)
            @nrp.Neuron2Robot()
            def hear(t, talk, stick, clock, seen):
                name = stick.value and stick.value.name[2]
                seen.value = (talk.value.data, talk.changed, name, clock.value.clock.to_sec())
            """,
    }
    made = stand(files, "\n".join(line.strip() for line in more.splitlines())).run(2)
    assert made.texts() == []
    assert made.global_("seen") == ("it is 0.04", True, "c", 0.04)
    assert made.transfer.inputs["body"]["effort"].tolist()[:4] == [0.0, 0.0, 0.002, 0.001]


@pytest.mark.parametrize(
    ("send", "words"),
    [
        ("foot.send_message(geometry_msgs.msg.Point(1, 2, 3))", "takes std_msgs/Float64, not geometry_msgs/Point"),
        ("foot.send_message(std_msgs.msg.Float64('much'))", "data is 'much', not a number"),
        ("std_msgs.msg.Float64(value=3)", "std_msgs/Float64 has no field 'value'"),
        ("foot.value", "'Publisher' object has no attribute 'value'"),
    ],
)
def test_what_cannot_be_sent_is_told_with_its_line(stand, send, words):
    text = f"""
    @nrp.MapRobotPublisher("foot", Topic("/gazebo_muscle_interface/robot/Foot1/cmd_activation", std_msgs.msg.Float64))
    @nrp.Neuron2Robot()
    def function(t, foot):
        {send}
    """
    (message,) = stand(text).messages
    assert words in message.text
    assert (message.line, message.line_text) == (4, send)


# --- variables -----------------------------------------------------------------------------------------------


def test_variables_are_of_a_function_or_of_all_under_a_key(stand):
    files = {
        "one.py": """
            @nrp.MapVariable("own", initial_value=1)
            @nrp.MapVariable("shared", global_key="sum", initial_value=10, scope=nrp.GLOBAL)
            @nrp.Robot2Neuron()
            def one(t, own, shared):
                own.value *= 2
                shared.value += 1
            """,
        "two.py": """
            @nrp.MapVariable("own", initial_value=5)
            @nrp.MapVariable("sum", scope=nrp.GLOBAL)
            @nrp.Neuron2Robot()
            def two(t, own, sum):
                own.value += sum.value
            """,
    }
    made = stand(files).run(2)
    assert made.state("one") == {"own": 8}
    assert made.state("two") == {"own": 5 + 11 + 12 + 13}
    assert made.transfer.numbers == {"one.own": 8.0, "two.own": 41.0}


def test_a_throttled_function_is_called_so_often(stand):
    text = """
    @nrp.MapVariable("count", initial_value=0)
    @nrp.Robot2Neuron(throttling_rate=10.0)
    def function(t, count):
        count.value += 1
    """
    assert stand(text).run(20).state("function") == {"count": 5}


def test_a_monitor_reads_its_neurons_for_display(stand):
    made = stand("@nrp.NeuronMonitor(nrp.brain.relays, nrp.spike_recorder)\ndef watch(t):\n    return True\n").run(2)
    assert made.texts() == []
    function = made.function("watch")
    assert function["direction"] == "brain to body"
    assert function["reads"] == ["brain.spiked.watch__monitor", "brain.times.watch__monitor"]


# --- what they say -------------------------------------------------------------------------------------------


def test_what_functions_say_becomes_messages(stand):
    text = """
    import rospy
    from hbp_nrp_excontrol.logs import clientLogger as logger
    @nrp.Robot2Neuron()
    def function(t):
        clientLogger.info("a", 1)
        logger.warn("b")
        clientLogger.advertise("c")
        print("d", t)
        rospy.logerr("e %d", 5)
    """
    made = stand(text)
    assert [(m.severity, m.text, m.line) for m in made.messages] == [
        ("info", "a 1", 5),
        ("warning", "b", 6),
        ("info", "c", 7),
        ("info", "d 0.0", 8),
        ("error", "e 5", 9),
    ]
