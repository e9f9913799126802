"""What all routes of the server stand on."""

from dataclasses import dataclass, field

from .nest_face import LOCAL_PAGES
from .pages import Web
from .people import People
from .recorded_frames import Playing
from .simulations import Simulations
from .storage import Storage
from .templates import Templates
from .tools import Tools


@dataclass(slots=True)
class Gateway:
    """All that routes need; they find it as `request.app.state.gateway`. `hosts`: further names of this server.
    `origins`: pages elsewhere that may look at kernels."""

    people: People
    storage: Storage
    templates: Templates
    simulations: Simulations
    tools: Tools
    web: Web
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = LOCAL_PAGES
    playing: Playing = field(default_factory=Playing)
