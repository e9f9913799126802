"""The Virtual Coach: the published Python client `pynrp` works with this server as it is.

It holds no state: each call is answered from what the other rooms of the gateway know, and changes nothing but there.
COACH.md says what is answered by what, and what differs.
"""

from fastapi import APIRouter

from . import (
    coach_brain,
    coach_catalogue,
    coach_files,
    coach_functions,
    coach_machines,
    coach_models,
    coach_recorder,
    coach_saving,
    coach_simulation,
    coach_storage,
    rosbridge,
)

PROXY = "/proxy"
SERVER = "/coach/{server}"

router = APIRouter(include_in_schema=False)
for part in (coach_catalogue, coach_models, coach_files, coach_saving, coach_storage):
    router.include_router(part.router, prefix=PROXY)
for part in (coach_simulation, coach_functions, coach_machines, coach_brain, coach_recorder):
    router.include_router(part.router, prefix=SERVER)
router.include_router(rosbridge.router)
