"""What the 3-D views compute from numbers of the body and the brain, and what a person can do with them."""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browsing import Server, Visitor, unbroken, visitor
from playwright.sync_api import Browser, expect

from services.gateway.raster import Cells

HUMERUS = {"kind": "capsule", "from_m": [0.0, 0.0, 0.0], "to_m": [0.01, 0.0, 0.0], "radius_m": 0.001}
FOOT = {"kind": "box", "center_m": [0.004, 0.0, 0.0], "size_m": [0.008, 0.002, 0.002]}
RIG = {"kind": "box", "center_m": [0.0, 0.0, 0.0], "size_m": [1.0, 1.0, 1.0]}
LIGHT = "const { light } = await import(base + '/draw/surface.js');"


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Iterator[Visitor]:
    with visitor(browser, server) as made:
        made.go("#/login")
        made.page.wait_for_selector("main")
        yield made
        assert made.outside == []


def computed(person: Visitor, modules: str, body: str, given: Any = None) -> Any:
    """What `body` returns, with names from the page's own modules and `given` in scope."""
    base = "document.querySelector('script[type=module][src]').src.replace(/\\/main\\.js.*/, '')"
    code = f"async (given) => {{ const base = {base}; {modules} {body} }}"
    return unbroken(lambda: person.page.evaluate(code, given))


def test_a_muscle_runs_through_its_first_and_last_point_and_bulges_over_none(page):
    points = [[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [4.0, 0.0, 3.0]]
    places = computed(
        page,
        "const { Curve } = await import(base + '/draw/curve.js');",
        "const c = new Curve(3, 26); c.through(new Float64Array(given.flat()), [0, 1, 2]); return [...c.place];",
        points,
    )
    curve = np.array(places).reshape(-1, 3)
    assert np.allclose(curve[0], points[0])
    assert np.allclose(curve[-1], points[-1], atol=1e-5)
    assert curve[:, 0].max() < 4.35
    assert curve[:, 2].min() > -0.35
    assert np.linalg.norm(curve - [4.0, 0.0, 0.0], axis=1).min() < 0.3


def test_the_rings_of_a_muscle_stand_across_it_and_do_not_turn_about_it(page):
    result = computed(
        page,
        "const { Curve } = await import(base + '/draw/curve.js');",
        "const c = new Curve(4, 26); c.through(new Float64Array(given), [0, 1, 2, 3]);"
        "return [c.along, c.side, c.over].map((a) => [...a]);",
        [0, 0, 0, 2, 1, 0, 3, 1, 2, 1, 0, 3],
    )
    along, side, over = (np.array(one).reshape(-1, 3) for one in result)
    for one, other in ((along, side), (along, over), (side, over)):
        assert np.abs((one * other).sum(1)).max() < 1e-5
    assert (side[1:] * side[:-1]).sum(1).min() > 0.8


def test_a_tube_has_the_colour_of_its_bar_and_swells_with_activation(page):
    found = computed(
        page,
        LIGHT + "const { Muscles } = await import(base + '/draw/muscles.js');"
        "const { muscleTable, rgb } = await import(base + '/draw/colours.js');",
        """
        const table = Float32Array.from(muscleTable("dark").flatMap((colour) => rgb(colour).map((v) => v / 255)));
        const list = [{ name: "a", points: [0, 1] }, { name: "b", points: [2, 3] }];
        const muscles = new Muscles(light(), list, { unit: 1, table });
        muscles.update(new Float64Array([0, 0, 0, 10, 0, 0, 0, 5, 0, 10, 5, 0]), [0, 1]);
        const { position, color } = muscles.object.geometry.attributes;
        const per = position.count / 2, middle = Math.floor(per / 2);
        return [0, 1].map((m) => {
          const at = m * per + middle;
          const y = [...Array(per).keys()].map((i) => Math.abs(position.getY(m * per + i) - 5 * m));
          return { colour: [color.getX(at), color.getY(at), color.getZ(at)], radius: Math.max(...y),
                   bar: rgb(muscleTable("dark")[m * 255]).map((v) => v / 255), x: muscles.middle(m).x };
        });
        """,
    )
    for tube in found:
        assert tube["colour"] == pytest.approx(tube["bar"], abs=1e-6)
        assert tube["x"] == pytest.approx(5.0, abs=0.3)
    assert found[1]["radius"] / found[0]["radius"] == pytest.approx(1.4 / 0.78, rel=0.02)


def test_links_are_where_the_body_says_in_millimetres(page):
    half = math.sqrt(0.5)
    tip = computed(
        page,
        LIGHT + "const { Skeleton } = await import(base + '/draw/skeleton.js'); const THREE = await import('three');",
        """
        const bones = new Skeleton(light(), given.links, { scale: 1000, alive: true });
        bones.pose(given.position, given.orientation);
        return bones.find("humerus").group.localToWorld(new THREE.Vector3(10, 0, 0)).toArray();
        """,
        {
            "links": [{"name": "humerus", "shape": HUMERUS}],
            "position": [0.001, 0.002, 0.003],
            "orientation": [half, 0.0, 0.0, half],  # w x y z: a quarter turn about z
        },
    )
    assert tip == pytest.approx([1.0, 12.0, 3.0], abs=1e-6)


def test_the_nearest_part_under_the_pointer_is_picked_and_the_rig_never(page):
    given = {
        "links": [
            {"name": "rig", "shape": RIG},
            {"name": "humerus", "shape": HUMERUS},
            {"name": "foot", "shape": FOOT},
            {"name": "gimbal", "shape": None},
        ],
        "position": [[0, 0, 0], [0, 0, 0], [0, 0, 0.02], [0, 0, 0]],
        "orientation": [[1, 0, 0, 0]] * 4,
        "rays": [[5, 0, 100], [9.5, 0, 100], [5, 0, -100], [5, 40, 100]],
    }
    picked = computed(
        page,
        LIGHT + "const { Skeleton } = await import(base + '/draw/skeleton.js');"
        "const { pick } = await import(base + '/draw/pick.js'); const THREE = await import('three');",
        """
        const bones = new Skeleton(light(), given.links, { scale: 1000, alive: true });
        bones.pose(given.position.flat(), given.orientation.flat());
        return given.rays.map((from) => {
          const ray = new THREE.Ray(new THREE.Vector3(...from), new THREE.Vector3(0, 0, from[2] > 0 ? -1 : 1));
          const part = pick(ray, bones, null);
          return part && [part.name, part.at.toArray()];
        });
        """,
        given,
    )
    assert picked[0] == ["foot", pytest.approx([5.0, 0.0, 21.0], abs=1e-5)]
    assert picked[1] == ["humerus", pytest.approx([9.5, 0.0, 1.0], abs=1e-5)]
    assert picked[2] == ["humerus", pytest.approx([5.0, 0.0, -1.0], abs=1e-5)]
    assert picked[3] is None


def test_page_and_server_number_the_recorded_cells_alike(page):
    recorders = {"z": {"late": [[7, 9]]}, "a": {"odd": [[5, 5], [1, 3]], "again": [[2, 6]], "none": []}}
    listed = computed(
        page,
        "const { recorded } = await import(base + '/panels/brainpoints.js');",
        "return recorded(given);",
        recorders,
    )
    cells = Cells.of(recorders)
    assert sorted(listed) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert cells.places(np.array(listed)).tolist() == list(range(len(listed)))


def test_a_neuron_that_two_populations_share_is_one_point(page):
    found = computed(
        page,
        "const { pointsOf } = await import(base + '/panels/brainpoints.js');",
        "const p = pointsOf(given.populations, given.facts);"
        "return { ids: [...p.ids], known: [...p.known], cells: [...p.pointOfCell], drawn: p.drawn };",
        {
            "populations": {
                "all": {"ids": [1, 2, 3], "positions_mm": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]},
                "some": {"ids": [2, 4], "positions_mm": [[1, 0, 0], [3, 1, 1]]},
            },
            "facts": {"recorders": {"raster": {"all": [[3, 4]]}}},
        },
    )
    assert found == {"ids": [1, 2, 3, 4], "known": [0, 0, 1, 1], "cells": [2, 3], "drawn": [3, 1]}


@pytest.fixture(scope="module")
def sim(server: Server) -> Iterator[str]:
    clone = server.ask("POST", "experiments", {"source": "mouse_reach"})
    wish = {"experiment": clone["id"], "set": {"area_mm2": 0.02}, "limit": {"kind": "simulated", "s": 600}, "pace": 1.0}
    made = str(server.ask("POST", "simulations", {**wish, "start": True})["id"])
    end = time.monotonic() + 120
    while server.ask("GET", f"simulations/{made}")["step"] < 3:
        assert time.monotonic() < end, server.ask("GET", f"simulations/{made}")
        time.sleep(0.2)
    yield made
    if server.ask("GET", f"simulations/{made}")["state"] not in ("stopped", "failed", "halted"):
        server.ask("PUT", f"simulations/{made}/state", {"state": "stopped"})


def picked_forearm(person: Visitor, sim: str) -> tuple[float, float]:
    """Click the forearm; where that was."""
    person.go(f"#/run/{sim}")
    person.page.wait_for_selector(".muscle-row", timeout=60_000)
    expect(person.page.locator(".muscle-value").first).not_to_have_text("–", timeout=30_000)
    box = person.page.locator(".body-canvas").first.bounding_box()
    assert box is not None
    for across, down in ((0.735, 0.49), (0.72, 0.48), (0.75, 0.48), (0.70, 0.52)):
        x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
        person.page.mouse.click(x, y)
        if person.page.locator(".inspector strong").first.text_content() == "forearm":
            return x, y
    raise AssertionError("the forearm is not where it should be")


def pushes(server: Server, sim: str) -> list[dict[str, Any]]:
    edits = server.ask("GET", f"simulations/{sim}/history")["edits"]
    return [edit for edit in edits if edit["what"] == "push"]


def test_dragging_the_picked_link_pushes_it(browser, server, sim):
    with visitor(browser, server) as person:
        x, y = picked_forearm(person, sim)
        person.page.mouse.move(x, y)
        person.page.mouse.down()
        person.page.mouse.move(x + 40, y + 60, steps=5)
        expect(person.page.locator(".scene-arrow-text")).to_contain_text(" N")
        person.picture("body_push")
        person.page.mouse.up()
        expect(person.page.locator(".inspector-note").first).to_contain_text("Pushed with", timeout=30_000)
        assert person.errors == []
    made = pushes(server, sim)
    assert len(made) == 1
    assert "forearm" in json.dumps(made[0])
    force = made[0]["arguments"]["force_N"]
    assert force[2] < 0
    assert 0.1 < math.hypot(*force) <= 0.5


def test_a_load_on_the_joystick_is_set_by_a_number(browser, server, sim):
    with visitor(browser, server) as person:
        person.go(f"#/run/{sim}")
        person.page.get_by_role("button", name="Load on a joint").click(timeout=60_000)
        field = person.page.get_by_label("Load on stick sagittal in mN m")
        field.fill("2")
        field.press("Enter")
        person.until(
            lambda: server.ask("GET", f"simulations/{sim}/body")["loads"].get("stick_sagittal") == pytest.approx(0.002),
            "the load acts",
        )
        assert person.errors == []


def test_a_viewer_can_pick_and_not_push(browser, server, sim):
    before = len(pushes(server, sim))
    with visitor(browser, server, token=server.token_for("vera", "viewer")) as person:
        x, y = picked_forearm(person, sim)
        expect(person.page.locator(".inspector-note").first).to_have_text("Only its owner may push it")
        person.page.mouse.move(x, y)
        person.page.mouse.down()
        person.page.mouse.move(x + 40, y + 60, steps=5)
        expect(person.page.locator(".scene-arrow-text")).to_be_hidden()
        person.page.mouse.up()
        person.page.get_by_role("button", name="Load on a joint").click()
        expect(person.page.get_by_label("Load on stick sagittal in mN m")).to_be_disabled()
        assert person.errors == []
    assert len(pushes(server, sim)) == before


def test_a_neuron_of_the_brain_in_space_tells_its_parameters(browser, server, sim):
    with visitor(browser, server) as person:
        person.go(f"#/run/{sim}")
        person.page.get_by_role("tab", name="Brain 3-D").click(timeout=60_000)
        canvas = person.page.locator(".brain-view canvas")
        canvas.wait_for(timeout=60_000)
        expect(person.page.locator(".brain-fact")).to_contain_text("neurons")
        box = canvas.bounding_box()
        assert box is not None
        person.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(person.page.locator(".brain-view .inspector strong")).to_contain_text("M1_")
        threshold = person.page.get_by_label("V_th in mV")
        expect(threshold).to_be_visible(timeout=30_000)
        assert float(threshold.input_value()) < -30
        person.picture("brain_3d")
        assert person.errors == []
