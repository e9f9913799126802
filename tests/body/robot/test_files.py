import hashlib

import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.body.models.robot.files import Files
from services.body.models.robot.meshes import bounds

ASCII_STL = (
    "solid s\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 2 0 0\nvertex 0 3 1\nendloop\nendfacet\nendsolid\n"
)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "robot" / "meshes").mkdir(parents=True)
    (tmp_path / "robot" / "meshes" / "arm.obj").write_text("v 0 0 0\n")
    return Files(tmp_path / "robot", {"model.sdf": "<sdf/>"})


def test_a_text_of_the_plan_comes_before_the_file(files):
    assert files.text("model.sdf", "body.file") == "<sdf/>"
    assert files.digests == {"model.sdf": hashlib.sha256(b"<sdf/>").hexdigest()}


@pytest.mark.parametrize(
    ("uri", "beside"),
    [
        ("meshes/arm.obj", "model.sdf"),
        ("arm.obj", "meshes/model.sdf"),
        ("model://meshes/arm.obj", "model.sdf"),
        ("package://meshes/arm.obj", "meshes/model.sdf"),
        # The folder is called otherwise here than where the model comes from.
        ("model://somebot/meshes/arm.obj", "model.sdf"),
        ("file://meshes/arm.obj", "model.sdf"),
    ],
)
def test_a_mesh_is_found_by_its_uri(files, uri, beside):
    assert files.find(uri, beside) == "meshes/arm.obj"


@pytest.mark.parametrize(
    "uri", ["gone.obj", "model://gone", "http://x/y.obj", "../outside.obj", "model://../outside.obj", "", "model://"]
)
def test_what_is_not_there_or_outside_is_not_found(files, tmp_path, uri):
    (tmp_path / "outside.obj").write_text("v 0 0 0\n")
    assert files.find(uri, "model.sdf") is None


def test_a_link_that_leads_outside_is_not_followed(files, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "robot" / "link.sdf").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(BadExperiment, match="outside the experiment's folder"):
        files.text("link.sdf", "body.file")


def test_bytes_that_are_no_text_are_refused(files, tmp_path):
    (tmp_path / "robot" / "model.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadExperiment, match=r"body\.file: 'model\.bin' must be text in UTF-8"):
        files.text("model.bin", "body.file")


def binary_stl():
    facet = np.zeros(1, dtype=np.dtype([("places", "<f4", 12), ("rest", "<u2")]))
    facet["places"][0, 3:] = [0, 0, 0, 2, 0, 0, 0, 3, 1]
    return b"solid but binary".ljust(80) + (1).to_bytes(4, "little") + facet.tobytes()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.stl", ASCII_STL.encode()),
        ("m.STL", binary_stl()),
        ("m.obj", b"# a mesh\nv 0 0 0\nv 2 0 0\nvn 9 9 9\nv 0 3 1\nf 1 2 3\n"),
    ],
)
def test_the_box_around_a_mesh(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    low, high = bounds(tmp_path / name, name)
    assert (low.tolist(), high.tolist()) == ([0, 0, 0], [2, 3, 1])


@pytest.mark.parametrize(("name", "data"), [("m.stl", b""), ("m.obj", b"v 0 zero 0\n"), ("m.stl", b"\x00" * 100)])
def test_what_is_no_mesh_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadExperiment, match="holds no mesh that can be read"):
        bounds(tmp_path / name, name)
