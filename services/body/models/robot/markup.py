"""XML as plain nodes that know their line, for files that other people wrote."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from reafference.errors import BadExperiment

DEEPEST = 200
"""Elements within elements; more than that is no robot."""


@dataclass(slots=True)
class Node:
    """One element: `tag` without its namespace's prefix, `text` directly in it, stripped."""

    file: str
    tag: str
    line: int
    attributes: dict[str, str]
    text: str = ""
    children: list["Node"] = field(default_factory=list)

    def all(self, *tags: str) -> Iterator["Node"]:
        """The children of these tags, in the order of the file."""
        return (child for child in self.children if child.tag in tags)

    def first(self, tag: str) -> "Node | None":
        return next(self.all(tag), None)

    def find(self, path: str) -> "Node | None":
        """The first element on a path of tags such as `surface/friction/ode`."""
        node: Node | None = self
        for tag in path.split("/"):
            node = node.first(tag) if node else None
        return node

    def need(self, tag: str) -> "Node":
        """The child of this tag; raises BadExperiment."""
        child = self.first(tag)
        if child is None:
            raise self.wrong(f"<{self.tag}> needs an element <{tag}>")
        return child

    def attribute(self, name: str) -> str:
        """An attribute that must be there; raises BadExperiment."""
        value = self.attributes.get(name, "").strip()
        if not value:
            raise self.wrong(f"<{self.tag}> needs the attribute {name!r}")
        return value

    def word(self, path: str, default: str = "") -> str:
        """The text of an element below this one."""
        node = self.find(path)
        return node.text if node and node.text else default

    def number(self, path: str, default: float) -> float:
        """The number in an element below this one, or in the attribute `value` of that; raises BadExperiment."""
        node = self.find(path)
        return numbers(node, node.text or node.attributes.get("value", ""), 1)[0] if node else default

    def vector(self, path: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """As many numbers as `default` has, in an element below this one."""
        node = self.find(path)
        return numbers(node, node.text, len(default)) if node else default

    def yes(self, path: str, default: bool = False) -> bool:
        """A yes or no in an element below this one."""
        node = self.find(path)
        if node is None:
            return default
        if node.text.lower() not in ("true", "false", "1", "0"):
            raise node.wrong(f"<{node.tag}> must be true or false, not {node.text!r}")
        return node.text.lower() in ("true", "1")

    def wrong(self, what: str) -> BadExperiment:
        """A complaint about this element."""
        return BadExperiment(f"{self.file}, line {self.line}: {what}", detail={"file": self.file, "line": self.line})


def parse(text: str, file: str) -> Node:
    """The root element of `text`. Raises BadExperiment, with the line, for what is no XML or declares entities."""
    reader = _Reader(file)
    try:
        reader.parser.Parse(_undeclared(text), True)
    except expat.ExpatError as error:
        detail = {"file": file, "line": error.lineno}
        reason = expat.errors.messages[error.code]
        raise BadExperiment(f"{file}, line {error.lineno}: this is not XML: {reason}", detail=detail) from None
    return reader.root.children[0]


def _undeclared(text: str) -> str:
    """The text without `<?xml …?>`, which many files have after a blank line, where no reader takes it."""
    head, mark, rest = text.partition("?>")
    if not mark or not head.lstrip("\ufeff \t\r\n").startswith("<?xml "):
        return text
    return "\n" * head.count("\n") + rest


def numbers(node: Node, text: str, count: int) -> tuple[float, ...]:
    """So many finite numbers between spaces; `node` is where they stand."""
    words = text.split()
    try:
        values = tuple(float(word) for word in words)
    except ValueError:
        values = ()
    if len(values) != count or len(words) != count or not all(math.isfinite(value) for value in values):
        wanted = "a number" if count == 1 else f"{count} numbers"
        raise node.wrong(f"<{node.tag}> must be {wanted}, not {text[:60]!r}")
    return values


class _Reader:
    """Builds nodes while expat reads."""

    def __init__(self, file: str) -> None:
        self.root = Node(file, "", 0, {})
        self._open = [self.root]
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        node = Node(self.root.file, tag.rpartition(":")[2], self.parser.CurrentLineNumber, attributes)
        if "xacro" in tag.partition(":")[0]:
            raise node.wrong(f"<{tag}> is xacro: expand it to URDF first (xacro model.xacro > model.urdf)")
        if len(self._open) > DEEPEST:
            raise node.wrong(f"elements are nested more than {DEEPEST} deep")
        self._open[-1].children.append(node)
        self._open.append(node)

    def _end(self, tag: str) -> None:
        del tag
        node = self._open.pop()
        node.text = node.text.strip()

    def _characters(self, text: str) -> None:
        self._open[-1].text += text

    def _refuse(self, *declared: object) -> None:
        # Entities can grow without bound, and can read other files.
        line = self.parser.CurrentLineNumber
        raise BadExperiment(
            f"{self.root.file}, line {line}: take out the <!DOCTYPE>: document types and entities are not read",
            detail={"file": self.root.file, "line": line, "doctype": str(declared[0])},
        )
