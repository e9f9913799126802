import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.body.models.robot.collada import as_obj, triangles

MESH = """<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><unit meter="{unit}"/></asset>
<library_geometries><geometry id="g"><mesh>
  <source id="s"><float_array id="f" count="12">0 0 0 1 0 0 1 1 0 0 1 0</float_array></source>
  <vertices id="v"><input semantic="POSITION" source="#s"/></vertices>
  {faces}
</mesh></geometry></library_geometries>{scene}</COLLADA>"""
TRIANGLES = """<triangles count="2"><input semantic="VERTEX" source="#v" offset="0"/>
  <input semantic="NORMAL" source="#n" offset="1"/><p>0 0 1 0 2 0 0 0 2 0 3 0</p></triangles>"""
POLYLIST = """<polylist count="1"><input semantic="VERTEX" source="#v" offset="0"/><vcount>4</vcount><p>0 1 2 3</p>
  </polylist>"""
POLYGONS = """<polygons count="1"><input semantic="VERTEX" source="#v" offset="0"/><p>0 1 2 3</p></polygons>"""
SCENE = """<library_visual_scenes><visual_scene id="x"><node><translate>10 0 0</translate>
  <node><rotate>0 0 1 90</rotate><scale>2 2 2</scale><instance_geometry url="#g"/></node></node>
  </visual_scene></library_visual_scenes>"""
SQUARE = [[[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0], [0, 1, 0]]]


@pytest.mark.parametrize("faces", [TRIANGLES, POLYLIST, POLYGONS])
def test_faces_become_triangles(faces):
    np.testing.assert_array_equal(triangles(MESH.format(unit=1, faces=faces, scene=""), "m.dae"), SQUARE)


def test_a_scene_places_a_mesh_and_its_unit_sizes_it():
    made = triangles(MESH.format(unit=0.01, faces=TRIANGLES, scene=SCENE), "m.dae")
    # Twice as large, turned from x to y, ten units along x; a unit is a centimetre.
    np.testing.assert_allclose(made[0], [[0.1, 0, 0], [0.1, 0.02, 0], [0.08, 0.02, 0]], atol=1e-15)


def test_triangles_are_written_for_pybullet():
    assert as_obj(np.array(SQUARE[:1], dtype=float)) == "v 0.0 0.0 0.0\nv 1.0 0.0 0.0\nv 1.0 1.0 0.0\nf 1 2 3\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0 0 0 1 0 0", "0 0 zero 1 0 0", "line 4: <float_array> must be many numbers"),
        ("<p>0 1 2 3", "<p>0 1 2 9", "line 6: <polylist> names corners that there are not"),
        ('source="#s"', 'source="#t"', "the corners of a mesh are not in the file"),
        ("<p>0 1 2 3</p>", "", "m.dae holds no triangles"),
        ("</COLLADA>", "", "this is not XML"),
        ('meter="1"', 'meter="one"', "m.dae has a number that is none"),
    ],
)
def test_what_is_no_mesh_is_refused(old, new, words):
    text = MESH.format(unit=1, faces=POLYLIST, scene="")
    assert old in text
    with pytest.raises(BadExperiment, match=words):
        triangles(text.replace(old, new), "m.dae")
