"""Container runtimes of clusters: they run the same images and differ in how a command line is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Runtime:
    """One of them. `start` are its first words; `bind` makes one argument of a folder that has the same path inside.

    `settings` are its further arguments, with {image} for the image. `makes_places`: whether it makes the place in the
    image that a folder is mounted at; otherwise the image must have it.
    """

    name: str
    start: tuple[str, ...] = ()
    bind: str = ""
    settings: tuple[str, ...] = ()
    before_command: tuple[str, ...] = ()
    makes_places: bool = True

    @property
    def contains(self) -> bool:
        """Whether it is a container at all."""
        return bool(self.start)

    def command(self, image: str, words: Sequence[str], binds: Sequence[str] = ()) -> list[str]:
        """The command line that runs `words` in `image`, in which the folders `binds` have the paths they have here."""
        if not self.contains:
            return list(words)
        settings = [argument.format(image=image) for argument in self.settings]
        folders = [self.bind.format(folder) for folder in dict.fromkeys(binds)]
        return [*self.start, *settings, *folders, image, *self.before_command, *words]


RUNTIMES: Mapping[str, Runtime] = {
    runtime.name: runtime
    for runtime in (
        Runtime("none"),
        Runtime("apptainer", ("apptainer", "exec"), "--bind={0}:{0}"),
        Runtime(
            "charliecloud",
            ("ch-run",),
            "--bind={0}:{0}",
            ("--set-env={image}/ch/environment",),
            ("--",),
            makes_places=False,
        ),
        Runtime("sarus", ("sarus", "run"), "--mount=type=bind,source={0},destination={0}"),
    )
}
