"""COLLADA meshes as triangles: shapes only, placed as their scene says, in metres.

Like the simulator that published models were made for, this takes the file's unit and leaves its `up_axis` alone.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from reafference.errors import BadExperiment
from reafference.frames import Array

from .markup import Node, parse

DEEPEST = 100
FACES = ("triangles", "polylist", "polygons")


def triangles(text: str, file: str) -> Array:
    """The corners of all triangles, shape (n, 3, 3) in m. Raises BadExperiment, with the line, for what is no mesh."""
    root = parse(text, file)
    try:
        made = _all(root)
    except ValueError:
        raise BadExperiment(f"{file} has a number that is none: export it again", detail={"file": file}) from None
    if not len(made):
        raise BadExperiment(f"{file} holds no triangles: export it again", detail={"file": file})
    return made


def _all(root: Node) -> Array:
    """The triangles of a document; raises ValueError for attributes that must be numbers."""
    geometries = {
        node.attributes.get("id", ""): node for library in root.all("library_geometries") for node in library.children
    }
    unit = root.find("asset/unit")
    scale = np.diag([float(unit.attributes.get("meter", "1")) if unit else 1.0] * 3 + [1.0])
    placed = [
        _moved(_faces(geometries[name]), matrix)
        for scenes in root.all("library_visual_scenes")
        for scene in scenes.all("visual_scene")
        for name, matrix in _instances(scene, scale, 0)
        if name in geometries
    ]
    found = placed or [_moved(_faces(node), scale) for node in geometries.values()]
    return np.concatenate([np.zeros((0, 3, 3)), *found])


def as_obj(corners: Array) -> str:
    """Triangles (n, 3, 3) as a text in the format OBJ."""
    places = "\n".join(f"v {x!r} {y!r} {z!r}" for x, y, z in corners.reshape(-1, 3).tolist())
    faces = "\n".join(f"f {3 * n + 1} {3 * n + 2} {3 * n + 3}" for n in range(len(corners)))
    return f"{places}\n{faces}\n"


def _instances(node: Node, outer: Array, depth: int) -> Iterator[tuple[str, Array]]:
    """Every geometry below a node of the scene: its name and the matrix (4, 4) that places it."""
    if depth > DEEPEST:
        raise node.wrong(f"nodes are nested more than {DEEPEST} deep")
    for child in node.all("instance_geometry"):
        yield child.attribute("url").lstrip("#"), outer
    for child in node.all("node"):
        matrix = outer
        for step in child.children:
            matrix = matrix @ _step(step)
        yield from _instances(child, matrix, depth + 1)


def _step(node: Node) -> Array:
    """One transformation of a node, as a matrix (4, 4)."""
    made = np.eye(4)
    match node.tag:
        case "matrix":
            return _row(node, 16).reshape(4, 4)
        case "translate":
            made[:3, 3] = _row(node, 3)
        case "scale":
            made[:3, :3] = np.diag(_row(node, 3))
        case "rotate":
            x, y, z, degrees = _row(node, 4)
            axis = np.array([x, y, z]) / (math.hypot(x, y, z) or 1.0)
            cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
            angle = math.radians(degrees)
            made[:3, :3] += math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    return made


def _moved(corners: Array, matrix: Array) -> Array:
    return np.asarray(corners @ matrix[:3, :3].T + matrix[:3, 3])


def _faces(geometry: Node) -> Array:
    """The triangles (n, 3, 3) of one geometry, in its own axes."""
    mesh = geometry.first("mesh")
    if mesh is None:
        return np.zeros((0, 3, 3))
    sources = {node.attributes.get("id", ""): node for node in mesh.children}
    found = [_corners(faces, sources) for faces in mesh.all(*FACES)]
    return np.concatenate([np.zeros((0, 3, 3)), *found])


def _corners(faces: Node, sources: Mapping[str, Node]) -> Array:
    inputs = list(faces.all("input"))
    vertex = next((node for node in inputs if node.attributes.get("semantic") == "VERTEX"), None)
    if vertex is None:
        raise faces.wrong(f"<{faces.tag}> needs an <input> of the semantic VERTEX")
    places = _places(vertex, sources)
    stride = 1 + max(int(node.attributes.get("offset", 0)) for node in inputs)
    offset = int(vertex.attributes.get("offset", 0))
    rows = [_whole(node)[offset::stride] for node in faces.all("p")]
    if faces.tag == "polylist":
        counts = _whole(faces.need("vcount"))
        rows = np.split(rows[0], np.cumsum(counts)[:-1]) if rows else []
    elif faces.tag == "triangles":
        rows = [row for joined in rows for row in joined[: len(joined) // 3 * 3].reshape(-1, 3)]
    # A polygon is a fan around its first corner.
    fans = [(row[0], row[n], row[n + 1]) for row in rows for n in range(1, len(row) - 1)]
    index = np.array(fans, dtype=int).reshape(-1, 3)
    if index.size and not (index.min() >= 0 and index.max() < len(places)):
        raise faces.wrong(f"<{faces.tag}> names corners that there are not")
    return np.asarray(places[index])


def _places(vertex: Node, sources: Mapping[str, Node]) -> Array:
    """The corners (n, 3) that an input stands for, by way of <vertices>."""
    node = sources.get(vertex.attribute("source").lstrip("#"))
    while node is not None and node.tag == "vertices":
        position = next((one for one in node.all("input") if one.attributes.get("semantic") == "POSITION"), None)
        node = sources.get(position.attribute("source").lstrip("#")) if position else None
    if node is None:
        raise vertex.wrong("the corners of a mesh are not in the file")
    values = _row(node.need("float_array"))
    return values[: len(values) // 3 * 3].reshape(-1, 3)


def _row(node: Node, count: int | None = None) -> Array:
    try:
        values = np.array(node.text.split(), dtype=float)
    except ValueError:
        values = np.zeros(0)
    if not len(values) or (count and len(values) != count) or not np.isfinite(values).all():
        raise node.wrong(f"<{node.tag}> must be {count or 'many'} numbers")
    return values


def _whole(node: Node) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    try:
        return np.array(node.text.split(), dtype=np.int64)
    except ValueError:
        raise node.wrong(f"<{node.tag}> must be whole numbers") from None
