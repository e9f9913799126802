"""A Python file of a user's that runs as a simulator, and the line of it that is to blame for an error."""

import contextlib
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import BadExperiment, ReafferenceError, ScriptError


class UserScript:
    """The file `name` in `folder` with the `text` that runs, whatever lies on the disk by now."""

    def __init__(self, folder: Path, name: str, text: str) -> None:
        self.file, self._folder, self._text = str(folder / name), folder, text

    def enter_folder(self) -> None:
        """Make the folder this process's own: scripts open files beside them, and import what lies there."""
        os.chdir(self._folder)
        sys.path[:0] = [str(Path(self.file).parent), str(self._folder)]

    @staticmethod
    def take_environment(texts: Any) -> None:
        """Set variables as `NAME=value`, with `$NAME` for what there is already. Raises BadExperiment."""
        if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) and "=" in text for text in texts):
            raise BadExperiment(f"EngineEnvParams: expected a list of texts NAME=value, found {texts!r:.80}")
        for text in texts:
            name, _, value = text.partition("=")
            os.environ[name.strip()] = os.path.expandvars(value)

    def run(self, names: Mapping[str, Any] | None = None) -> ModuleType:
        """The module that the text makes, with these `names` in it from the beginning. Raises ScriptError."""
        linecache.cache[self.file] = (len(self._text), None, self._text.splitlines(keepends=True), self.file)
        module = ModuleType(Path(self.file).stem)
        module.__file__ = self.file
        module.__dict__.update(names or {})
        # Dataclasses and pickles look their module up.
        sys.modules[module.__name__] = module
        with self.blamed("loading"):
            exec(compile(self._text, self.file, "exec"), module.__dict__)
        return module

    @contextlib.contextmanager
    def blamed(self, doing: str, kind: Callable[..., ReafferenceError] = ScriptError) -> Iterator[None]:
        """Turn whatever the script raises into an error that names its line; `doing` says what went on."""
        try:
            yield
        except ReafferenceError:
            raise
        except (Exception, SystemExit) as error:
            own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self.file]
            line = (own[-1] if own else getattr(error, "lineno", 0)) or 0
            place = f"{self.file}, line {line}: " if line else f"{self.file}: "
            said = " ".join(f"{type(error).__name__}: {error}".split())
            source = linecache.getline(self.file, line).strip()
            raise kind(
                f"{place}{said} ({doing})" + (f"\n    {source}" if source else ""),
                detail={"file": self.file, "line": line, "line_text": source},
            ) from None
