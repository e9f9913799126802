"""XML as a tree that knows its lines, read without entities and without caring for namespaces.

Published files carry prefixes of many kinds (`bibi`, `ns1:bibi`, `xsi:type="ns1:Range"`); here each name is what stands
after the last colon, and is compared without regard to case.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

from ..errors import BadExperiment

MOST_BYTES = 5 * 2**20
DEEPEST = 100


@dataclass(slots=True)
class Element:
    """An element: its name as written, its attributes, the text in it, and where it begins."""

    file: str
    line: int
    name: str
    attributes: Mapping[str, str]
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def child(self, name: str) -> "Element | None":
        """The first child of this name, if there is one."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator["Element"]:
        """The children of this name, in order."""
        return (child for child in self.children if child.name.casefold() == name.casefold())

    def get(self, name: str, default: str = "") -> str:
        """An attribute, without spaces around it."""
        return self.attributes.get(name.casefold(), default).strip()

    def words(self) -> str:
        """The text in it, in one line."""
        return " ".join(self.text.split())

    def kind(self) -> str:
        """What `xsi:type` says, without its prefix."""
        return _local(self.get("type"))

    def refuse(self, reason: str) -> NoReturn:
        """Raises BadExperiment that names file, line and element."""
        text = f"{self.file}, line {self.line}, <{self.name}>: {reason}"
        raise BadExperiment(text, detail={"file": self.file, "line": self.line})

    def number(self, text: str, what: str) -> float:
        """`text` as a number; raises BadExperiment."""
        try:
            value = float(text)
        except ValueError:
            self.refuse(f"{what} must be a number, found {text[:60]!r}")
        if value != value or abs(value) == float("inf"):
            self.refuse(f"{what} must be a finite number, found {text[:60]!r}")
        return value

    def whole(self, text: str, what: str) -> int:
        """`text` as a whole number; raises BadExperiment."""
        value = self.number(text, what)
        if value != int(value):
            self.refuse(f"{what} must be a whole number, found {text[:60]!r}")
        return int(value)


def parse(data: bytes, file: str) -> Element:
    """The root of an XML document. Raises BadExperiment with file and line for what is no XML, or has a DTD."""
    if len(data) > MOST_BYTES:
        raise BadExperiment(f"{file} has more than {MOST_BYTES // 2**20} MiB: this is no configuration file")
    builder = _Builder(file)
    try:
        # Editors leave blank lines before the declaration, which XML forbids.
        builder.parser.Parse(data.removeprefix(b"\xef\xbb\xbf").lstrip(), True)
    except expat.ExpatError as error:
        text = f"{file}, line {error.lineno}: this is not XML: {expat.ErrorString(error.code)}"
        raise BadExperiment(text, detail={"file": file, "line": error.lineno}) from None
    except (LookupError, ValueError) as error:
        raise BadExperiment(f"{file}: its encoding cannot be read ({error})", detail={"file": file}) from None
    if builder.root is None:
        raise BadExperiment(f"{file} is empty", detail={"file": file})
    return builder.root


class _Builder:
    """Collects what expat tells."""

    def __init__(self, file: str) -> None:
        self.root: Element | None = None
        self._file = file
        self._open: list[Element] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        # Without a DTD there are no entities of one's own, and so none that grow or read files.
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        line = self.parser.CurrentLineNumber
        named = {_local(key).casefold(): value for key, value in attributes.items() if not key.startswith("xmlns")}
        element = Element(self._file, line, _local(name), named)
        if len(self._open) >= DEEPEST:
            element.refuse(f"elements are nested more than {DEEPEST} deep")
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text

    def _doctype(self, name: str, *others: Any) -> None:
        line = self.parser.CurrentLineNumber
        text = f"{self._file}, line {line}: document types and entities are not read: remove the <!DOCTYPE>"
        raise BadExperiment(text, detail={"file": self._file, "line": line})


def _local(name: str) -> str:
    return name.rsplit(":", 1)[-1]
