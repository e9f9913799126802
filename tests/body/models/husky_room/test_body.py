import colorsys

import numpy as np
import pytest

from services.body.bullet_body import BulletBody
from services.body.models.husky_room.description import load, load_room
from services.body.rotation import matrix_from_quaternion

WEIGHT_KG = load().chassis.mass_kg + 4 * load().wheel.mass_kg
REST = {"velocity": np.zeros(2), "screens": np.zeros(2)}


class Drive:
    """A body and its clock."""

    def __init__(self, plan, make_step):
        self.body, self.make_step = BulletBody(), make_step
        self.ports = self.body.prepare(plan)
        self.number = 0

    def go(self, seconds, linear=0.0, angular=0.0, screens=(0.0, 0.0)):
        """Outputs of every step, and the yaw after it."""
        taken = []
        for _ in range(round(seconds / 0.02)):
            inputs = {"velocity": np.array([linear, angular]), "screens": np.array(screens)}
            taken.append(self.body.advance(self.make_step(self.number, **inputs)))
            self.number += 1
        return taken, np.unwrap([yaw_of(outputs["base.orientation"]) for outputs in taken])


def yaw_of(quaternion):
    w, x, y, z = quaternion
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


@pytest.fixture
def make_drive(make_plan, make_step):
    made = []

    def make(**parameters):
        made.append(Drive(make_plan(model="husky_room", parameters=parameters), make_step))
        return made[-1]

    yield make
    for drive in made:
        drive.body.close()


def test_it_drops_to_the_floor_and_settles(make_drive):
    drive = make_drive(camera=False)
    rest = {port.name: port.resting() for port in drive.ports.outputs}
    np.testing.assert_allclose(rest["base.position"], [0, 0, 0.5], atol=1e-9)
    assert abs(yaw_of(rest["base.orientation"])) == pytest.approx(np.pi)
    taken, _ = drive.go(1.0)
    end = taken[-1]
    carpet_top_m = 0.0325 + 0.0125
    assert end["base.position"][2] == pytest.approx(carpet_top_m + 0.17775 - 0.035, abs=2e-3)
    np.testing.assert_allclose(end["base.position"][:2], 0, atol=1e-3)
    assert np.abs(end["base.velocity"]).max() < 1e-3


@pytest.mark.parametrize("speed", [0.2, 0.5, -0.5])
def test_it_drives_straight_at_the_speed_it_is_told(speed, make_drive):
    drive = make_drive(camera=False)
    drive.go(1.0)
    taken, yaw = drive.go(3.0, linear=speed)
    start, end = taken[49]["base.position"], taken[-1]["base.position"]
    way = end - start
    ahead = np.array([np.cos(yaw[0]), np.sin(yaw[0])])
    assert way[:2] @ ahead / 2.0 == pytest.approx(speed, rel=0.02)
    assert abs(way[0] * ahead[1] - way[1] * ahead[0]) < 0.02
    assert abs(yaw[-1] - yaw[0]) < 0.01


@pytest.mark.parametrize("rate", [0.1, 0.5, -0.5, 2.0])
def test_it_turns_on_the_spot_at_about_the_rate_it_is_told(rate, make_drive):
    drive = make_drive(camera=False)
    drive.go(1.0)
    taken, yaw = drive.go(3.0, angular=rate)
    assert (yaw[-1] - yaw[49]) / 2.0 == pytest.approx(rate, rel=0.08)
    off_m = max(np.hypot(*outputs["base.position"][:2]) for outputs in taken)
    assert off_m < 0.2


def test_it_turns_left_for_a_positive_rate_and_stops_when_told(make_drive):
    drive = make_drive(camera=False)
    drive.go(1.0)
    _, yaw = drive.go(1.0, linear=0.2, angular=0.5)
    assert yaw[-1] - yaw[0] > 0.3
    taken, _ = drive.go(1.0)
    assert np.abs(taken[-1]["base.velocity"]).max() < 0.02


def test_no_wheel_pulls_harder_than_its_motor_can(make_drive):
    drive = make_drive(camera=False)
    drive.go(1.0)
    for command in ({"linear": 2.0}, {"linear": -2.0}, {"angular": 4.0}):
        taken, _ = drive.go(0.3, **command)
        assert max(np.abs(outputs["joints.effort"]).max() for outputs in taken) <= 35.0 + 1e-9


def red_pixels(picture):
    """Pixels that the published test calls red: 8-bit hue in half-degrees 0, saturation and value 30 to 255."""
    colours, index = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
    red = []
    for r, g, b in colours / 255.0:
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        red.append(round(h * 180) == 0 and s * 255 >= 30 and v * 255 >= 30)
    return np.array(red)[index.reshape(-1)].reshape(picture.shape[:2])


def facing_left_screen():
    return {"start_position_m": [0.0, 0.0, 0.19], "start_yaw_rad": -np.pi / 2}


def last_picture(taken):
    return [outputs["camera/eye.image"] for outputs in taken if "camera/eye.image" in outputs][-1]


def test_a_red_screen_is_seen_as_pure_red_and_a_blue_one_is_not(make_drive):
    drive = make_drive(**facing_left_screen())
    blue = last_picture(drive.go(0.1)[0])
    assert red_pixels(blue).sum() == 0
    red = last_picture(drive.go(0.1, screens=(1.0, 0.0))[0])
    seen = red_pixels(red)
    # 1.96 m x 1.1 m seen from 2.6 m: a known share of the picture, in its middle.
    width_px = 320 * 1.96 / (2 * 2.61 * np.tan(1.57 / 2))
    height_px = width_px * 1.1 / 1.96
    assert seen.sum() == pytest.approx(width_px * height_px, rel=0.1)
    assert abs(seen[:, :160].sum() - seen[:, 160:].sum()) < 0.1 * seen.sum()
    colours = np.unique(red[seen], axis=0)
    assert (colours[:, 1:] == 0).all()
    assert (colours[:, 0] > 150).all()
    again = last_picture(drive.go(0.1)[0])
    assert red_pixels(again).sum() == 0


def test_each_screen_has_its_own_switch(make_drive):
    drive = make_drive(**facing_left_screen())
    assert red_pixels(last_picture(drive.go(0.1, screens=(0.0, 1.0))[0])).sum() == 0
    other = make_drive(start_position_m=[0.0, 0.0, 0.19], start_yaw_rad=np.pi / 2)
    assert red_pixels(last_picture(other.go(0.1, screens=(0.0, 1.0))[0])).sum() > 5000


def test_the_room_around_has_nothing_red(make_drive):
    drive = make_drive(start_position_m=[0.0, 0.0, 0.19])
    seen = 0
    for _ in range(6):
        taken, _ = drive.go(0.54, angular=2.0)
        seen += red_pixels(last_picture(taken)).sum()
    assert seen == 0


def test_pictures_come_at_most_thirty_times_a_second(make_drive):
    drive = make_drive()
    taken, _ = drive.go(0.4)
    numbers = [i for i, outputs in enumerate(taken) if "camera/eye.image" in outputs]
    assert numbers == list(range(1, 20, 2))


def test_the_picture_at_rest_is_a_real_one(make_drive):
    drive = make_drive()
    picture = next(port for port in drive.ports.outputs if port.name == "camera/eye.image").resting()
    assert picture.shape == (240, 320, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 5


def test_without_a_camera_there_is_no_picture(make_drive):
    drive = make_drive(camera=False)
    assert "camera/eye.image" not in {port.name for port in drive.ports.outputs}
    assert "camera/eye.image" not in drive.go(0.1)[0][-1]


def test_walls_are_solid(make_drive):
    drive = make_drive(camera=False, start_position_m=[-4.0, 0.0, 0.2])
    drive.go(0.5)
    taken, _ = drive.go(3.0, linear=1.0)
    front_m = taken[-1]["base.position"][0] - 0.5
    assert -5.3 < front_m < -5.2


def test_wheels_go_with_the_chassis(make_drive):
    drive = make_drive(camera=False)
    drive.go(1.0)
    taken, yaw = drive.go(1.0, linear=0.5, angular=0.3)
    outputs = taken[-1]
    labels = next(port for port in drive.ports.outputs if port.name == "links.position").labels
    turn = np.array([[np.cos(yaw[-1]), -np.sin(yaw[-1])], [np.sin(yaw[-1]), np.cos(yaw[-1])]])
    for name, center in load().wheel.centers_m.items():
        expected = outputs["base.position"][:2] + turn @ center[:2]
        np.testing.assert_allclose(outputs["links.position"][labels.index(name)][:2], expected, atol=1e-3)


def test_the_room_is_described_for_viewers(make_drive):
    room = make_drive(camera=False).ports.facts["room"]
    assert len(room) == len(load_room()) == 44
    screens = {piece["name"]: piece["rgb"] for piece in room if piece["name"].endswith("screen_panel")}
    assert screens == {"left_screen_panel": [0.0, 0.0, 1.0], "right_screen_panel": [0.0, 0.0, 1.0]}


# --- pushes and loads -------------------------------------------------------------------------------------------


def edit(drive, what, **arguments):
    return drive.body.edit(what, arguments, lambda *args, **kwargs: None).result


def momentum(drive, outputs):
    """Of chassis and wheels, from the speeds of the chassis: they turn with it, but for their axles."""
    velocity = outputs["base.velocity"]
    turn = matrix_from_quaternion(outputs["base.orientation"])
    com = np.array(load().chassis.com_m)
    chassis = velocity[:3] + np.cross(velocity[3:], turn @ com)
    wheels = [velocity[:3] + np.cross(velocity[3:], turn @ np.array(at)) for at in load().wheel.centers_m.values()]
    return load().chassis.mass_kg * chassis + load().wheel.mass_kg * np.sum(wheels, axis=0)


@pytest.mark.parametrize("at_m", [None, [0.3, 0.2, 0.1]])
@pytest.mark.parametrize("link", ["chassis", "front_left"])
def test_a_push_in_free_fall_gives_its_impulse(make_drive, link, at_m):
    force, duration_s = np.array([60.0, -40.0, 30.0]), 0.0305
    ends = []
    for pushed in (False, True):
        drive = make_drive(camera=False, start_position_m=[0.0, 0.0, 2.0])
        if pushed:
            where = {} if at_m is None else {"at_m": at_m}
            edit(drive, "push", link=link, force_N=force, duration_s=duration_s, **where)
        ends.append(momentum(drive, drive.go(0.04)[0][-1]))
    np.testing.assert_allclose(ends[1] - ends[0], force * duration_s, rtol=0.01, atol=0.01)


def test_a_push_beside_the_centre_of_mass_turns_the_robot(make_drive):
    yaws = {}
    for side in (-0.5, 0.0, 0.5):
        drive = make_drive(camera=False, start_position_m=[0.0, 0.0, 2.0], start_yaw_rad=0.0)
        com = load().chassis.com_m
        edit(drive, "push", link="chassis", force_N=[100, 0, 0], at_m=[com[0], com[1] + side, com[2]], duration_s=0.05)
        yaws[side] = drive.go(0.06)[0][-1]["base.velocity"][5]
    assert yaws[-0.5] > 0.2 > -0.2 > yaws[0.5]
    assert abs(yaws[0.0]) < 0.1


def test_the_motor_holds_a_wheel_against_a_load_until_that_is_too_large(make_drive):
    drive = make_drive(camera=False, start_position_m=[0.0, 0.0, 2.0])
    edit(drive, "load", torque_Nm={"front_left": 20.0})
    held = drive.go(0.1)[0][-1]
    left = drive.body.edit("scene", {}, None).result["loadable"].index("front_left")
    assert abs(held["joints.velocity"][left]) < 0.1
    assert held["joints.effort"][left] == pytest.approx(-20.0, abs=1.0)
    edit(drive, "load", torque_Nm={"front_left": 60.0})
    spinning = drive.go(0.1)[0][-1]
    others = np.delete(spinning["joints.velocity"], left)
    assert spinning["joints.velocity"][left] > 10.0
    assert np.abs(others).max() < 1.0
    edit(drive, "load", torque_Nm={"front_left": 0.0})
    assert abs(drive.go(0.5)[0][-1]["joints.velocity"][left]) < 0.5


def test_a_reset_of_the_world_turns_the_screens_to_their_first_colour(make_drive):
    drive = make_drive(camera=False)
    drive.go(0.02, screens=(1.0, 1.0))
    red = {piece["name"]: piece["rgb"] for piece in edit(drive, "scene")["room"] if "screen_panel" in piece["name"]}
    assert list(red.values()) == [[1.0, 0.0, 0.0]] * 2
    edit(drive, "reset_world")
    scene = edit(drive, "scene")
    assert scene["room"] == drive.ports.facts["room"]
    drive.go(0.02, screens=(1.0, 0.0))
    assert edit(drive, "scene")["room"] != scene["room"]


def test_a_reset_robot_stands_at_its_start_again(make_drive):
    drive = make_drive(camera=False)
    drive.go(1.0, linear=1.0)
    changed = drive.body.edit("reset", {}, lambda *args, **kwargs: None)
    rest = {port.name: port.resting() for port in changed.ports.outputs}
    np.testing.assert_allclose(rest["base.position"], [0, 0, 0.5], atol=1e-9)
