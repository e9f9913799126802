"""Robots written by hand, and a body that is made from them."""

import numpy as np
import pytest

from reafference.frames import Plan, Step
from services.body.bullet_body import BulletBody

STEP_NS = 20_000_000

PENDULUM_SDF = """<?xml version="1.0"?>
<sdf version="1.6">
  <model name="pendulum">
    <pose>0 0 3 0 0 0</pose>
    <link name="mount"><inertial><mass>1</mass></inertial></link>
    <link name="upper">
      <pose>0 0 -0.5 0 0 0</pose>
      <inertial><mass>1.2</mass>
        <inertia><ixx>0.1</ixx><iyy>0.1</iyy><izz>0.002</izz></inertia></inertial>
      <visual name="rod"><geometry><cylinder><radius>0.03</radius><length>1</length></cylinder></geometry></visual>
    </link>
    <link name="lower">
      <pose>0 0 -1.4 0 0 1.5707963267948966</pose>
      <inertial><pose>0 0 -0.05 0 0 0</pose><mass>0.6</mass>
        <inertia><ixx>0.04</ixx><iyy>0.0395</iyy><izz>0.001</izz></inertia></inertial>
      <visual name="rod"><geometry><box><size>0.04 0.06 0.8</size></box></geometry></visual>
    </link>
    <joint name="hold" type="fixed"><parent>world</parent><child>mount</child></joint>
    <joint name="shoulder" type="revolute">
      <pose>0 0 0.5 0 0 0</pose><parent>mount</parent><child>upper</child>
      <axis><xyz>0 1 0</xyz><limit><lower>-2</lower><upper>2</upper></limit></axis></joint>
    <joint name="elbow" type="revolute">
      <pose>0 0 0.4 0 0 0</pose><parent>upper</parent><child>lower</child>
      <axis><xyz>1 0 0</xyz></axis></joint>
  </model>
</sdf>
"""
"""Two rods, each free to swing about the world's y; the lower one is turned by 90 degrees, so that its x is that y."""

PENDULUM_URDF = """<?xml version="1.0"?>
<robot name="pendulum">
  <link name="world"/>
  <link name="mount"><inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1"/></inertial></link>
  <link name="upper">
    <inertial><origin xyz="0 0 -0.5"/><mass value="1.2"/>
      <inertia ixx="0.1" iyy="0.1" izz="0.002" ixy="0" ixz="0" iyz="0"/></inertial>
    <visual><origin xyz="0 0 -0.5"/><geometry><cylinder radius="0.03" length="1"/></geometry></visual>
  </link>
  <link name="lower">
    <inertial><origin xyz="0 0 -0.45"/><mass value="0.6"/>
      <inertia ixx="0.04" iyy="0.0395" izz="0.001" ixy="0" ixz="0" iyz="0"/></inertial>
    <visual><origin xyz="0 0 -0.4"/><geometry><box size="0.04 0.06 0.8"/></geometry></visual>
  </link>
  <joint name="hold" type="fixed"><parent link="world"/><child link="mount"/></joint>
  <joint name="shoulder" type="revolute"><parent link="mount"/><child link="upper"/>
    <axis xyz="0 1 0"/><limit lower="-2" upper="2" effort="0" velocity="0"/></joint>
  <joint name="elbow" type="continuous"><origin xyz="0 0 -1" rpy="0 0 1.5707963267948966"/>
    <parent link="upper"/><child link="lower"/><axis xyz="1 0 0"/></joint>
</robot>
"""
"""The same in URDF, whose links begin at their joints."""

ROVER_SDF = """<?xml version="1.0"?>
<sdf version="1.5">
  <model name="rover">
    <link name="chassis">
      <pose>0 0 0.15 0 0 0</pose>
      <inertial><mass>8</mass><inertia><ixx>0.1</ixx><iyy>0.2</iyy><izz>0.25</izz></inertia></inertial>
      <collision name="body"><geometry><box><size>0.5 0.3 0.1</size></box></geometry></collision>
      <visual name="body"><geometry><box><size>0.5 0.3 0.1</size></box></geometry>
        <material><ambient>1 0.8 0 1</ambient></material></visual>
      <collision name="caster"><pose>-0.2 0 -0.1 0 0 0</pose><geometry><sphere><radius>0.05</radius></sphere></geometry>
        <surface><friction><ode><mu>0</mu><mu2>0</mu2></ode></friction></surface></collision>
      <sensor name="eye" type="camera">
        <pose>0.2 0 0.2 0 0 0</pose><update_rate>25</update_rate>
        <camera name="eye"><horizontal_fov>1.0</horizontal_fov><image><width>64</width><height>48</height></image>
          <clip><near>0.05</near><far>50</far></clip></camera>
        <plugin name="ros" filename="libgazebo_ros_camera.so">
          <cameraName>rover/front</cameraName><imageTopicName>image_raw</imageTopicName></plugin>
      </sensor>
      <sensor name="feel" type="imu"><update_rate>50</update_rate></sensor>
    </link>
    <link name="left_wheel">
      <pose>0.1 0.2 0.1 -1.5707963267948966 0 0</pose>
      <inertial><mass>1</mass><inertia><ixx>0.003</ixx><iyy>0.003</iyy><izz>0.005</izz></inertia></inertial>
      <collision name="rim">
        <geometry><cylinder><radius>0.1</radius><length>0.04</length></cylinder></geometry></collision>
    </link>
    <link name="right_wheel">
      <pose>0.1 -0.2 0.1 -1.5707963267948966 0 0</pose>
      <inertial><mass>1</mass><inertia><ixx>0.003</ixx><iyy>0.003</iyy><izz>0.005</izz></inertia></inertial>
      <collision name="rim">
        <geometry><cylinder><radius>0.1</radius><length>0.04</length></cylinder></geometry></collision>
    </link>
    <joint name="left_hub" type="revolute"><parent>chassis</parent><child>left_wheel</child>
      <axis><xyz>0 0 1</xyz></axis></joint>
    <joint name="right_hub" type="revolute"><parent>chassis</parent><child>right_wheel</child>
      <axis><xyz>0 0 -1</xyz></axis></joint>
    <plugin name="drive" filename="libgazebo_ros_diff_drive.so">
      <leftJoint>left_hub</leftJoint><rightJoint>right_hub</rightJoint>
      <wheelSeparation>0.4</wheelSeparation><wheelDiameter>0.2</wheelDiameter>
      <commandTopic>go</commandTopic><robotNamespace>/fleet/one</robotNamespace>
    </plugin>
  </model>
</sdf>
"""
"""A cart with two driven wheels, whose axes point to opposite sides, and a sliding third foot."""


@pytest.fixture
def make(tmp_path):
    """Builds a Robot from the text of its file, `make(text)`; what is built is closed at the end."""
    built = []

    def build(text, file="robot.sdf", **settings):
        (tmp_path / file).write_text(text, encoding="utf-8")
        robot = Robot(tmp_path, {"model": "robot", "file": file, **settings})
        built.append(robot)
        return robot

    yield build
    for robot in built:
        robot.body.close()


class Robot:
    """A body that can be moved and edited: `go(n)` gives the outputs of n steps."""

    def __init__(self, folder, settings):
        self.body = BulletBody()
        plan = Plan(run="r1", name="body", seed=1, dt_ns=STEP_NS, folder=str(folder), settings=settings)
        self.ports = self.body.prepare(plan)
        self.facts = self.ports.facts
        self.number = 0

    @property
    def rest(self):
        return {port.name: port.resting() for port in self.ports.inputs}

    def go(self, steps, **inputs):
        given = {**self.rest, **{name.replace("__", "."): np.array(value) for name, value in inputs.items()}}
        taken = []
        for _ in range(steps):
            step = Step(number=self.number, t_ns=self.number * STEP_NS, dt_ns=STEP_NS, inputs=given)
            taken.append(self.body.advance(step))
            self.number += 1
        return taken

    def edit(self, what, **arguments):
        changed = self.body.edit(what, arguments, lambda *_args, **_more: None)
        self.ports = changed.ports or self.ports
        return changed.result

    def at_rest(self):
        return {port.name: port.resting() for port in self.ports.outputs}


@pytest.fixture
def pendulum(make):
    return make(PENDULUM_SDF)


@pytest.fixture
def rover(make):
    return make(ROVER_SDF)
