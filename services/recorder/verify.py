"""Does a recording hold exactly what was simulated? Compares it with the digests the simulators gave."""

from dataclasses import dataclass

from reafference.digest import Digest

from .reader import Run


@dataclass(frozen=True, slots=True)
class Verdict:
    """`differing` names the participants whose recorded output is not what they put out."""

    steps: int
    differing: tuple[str, ...]
    broke_off: bool

    @property
    def good(self) -> bool:
        return not self.differing and not self.broke_off


def verify(run: Run) -> Verdict:
    """Hash what is in the file, the way the participants did."""
    # After a fault the digests may cover more than the last complete step.
    if run.stop is None or not run.stop.digest or run.stop.outcome == "fault":
        return Verdict(run.steps, (), True)
    digests = {name: Digest(run.start.ports[name].outputs) for name in run.stop.digests}
    for _, ports in run.port_changes[1:]:
        for name, digest in digests.items():
            digest.expect(ports[name].outputs)
    for sample in run.samples():
        service, _, stream = sample.topic.partition("/")
        if service in digests:
            digests[service].update(stream, sample.step, sample.arrays)
    differing = [name for name, digest in digests.items() if digest.hexdigest() != run.stop.digests[name]]
    return Verdict(run.steps, tuple(differing), False)
