"""The Virtual Coach: the published Python client `pynrp` works with this server as it is.

It holds no state: each call is answered from what the other rooms of the gateway know, and changes nothing but there.
COACH.md says what is answered by what, and what differs.
"""

from fastapi import APIRouter

from ..ros import rosbridge
from . import brain as coach_brain
from . import catalogue as coach_catalogue
from . import files as coach_files
from . import functions as coach_functions
from . import machines as coach_machines
from . import models as coach_models
from . import recorder as coach_recorder
from . import saving as coach_saving
from . import simulation as coach_simulation
from . import storage as coach_storage

PROXY = "/proxy"
SERVER = "/coach/{server}"

router = APIRouter(include_in_schema=False)
for part in (coach_catalogue, coach_models, coach_files, coach_saving, coach_storage):
    router.include_router(part.router, prefix=PROXY)
for part in (coach_simulation, coach_functions, coach_machines, coach_brain, coach_recorder):
    router.include_router(part.router, prefix=SERVER)
router.include_router(rosbridge.router)
