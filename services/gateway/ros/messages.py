"""The rosbridge protocol in its second version, as far as it is spoken here: messages in and out. Pure."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LONGEST = 64 * 1024
IGNORED = ("advertise", "unadvertise", "set_level", "fragment", "png", "auth", "status")
"""Operations that need no answer: nothing follows from them here."""


class NotUnderstood(Exception):
    """A message that is none; its text says why."""


class Message(BaseModel):
    """What a client sends. Only what its `op` needs is there; the rest is left out."""

    model_config = ConfigDict(extra="ignore")

    op: str = Field(max_length=40)
    id: str | int | None = None
    topic: str = Field("", max_length=400)
    type: str | None = Field(None, max_length=400)
    service: str = Field("", max_length=400)
    args: dict[str, Any] | list[Any] | None = None
    throttle_rate: float = Field(0, ge=0, le=86_400_000, allow_inf_nan=False)
    queue_length: int = Field(0, ge=0)


def understood(text: str) -> Message:
    """What is meant. Raises NotUnderstood."""
    if len(text) > LONGEST:
        raise NotUnderstood(f"a message may have {LONGEST} characters at most")
    try:
        return Message.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        raise NotUnderstood(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"this is no JSON: {str(error)[:100]}") from None


def publish(topic: str, message: Any) -> dict[str, Any]:
    """A message of a topic."""
    return {"op": "publish", "topic": topic, "msg": message}


def status(text: str, about: Message | None = None) -> dict[str, Any]:
    """That something could not be done."""
    told = {"op": "status", "level": "error", "msg": text}
    return told | ({"id": about.id} if about is not None and about.id is not None else {})


def service_response(call: Message, values: Any, *, result: bool) -> dict[str, Any]:
    """The answer to a call of a service; `values` is a text where it has failed."""
    told = {"op": "service_response", "service": call.service, "values": values, "result": result}
    return told | ({"id": call.id} if call.id is not None else {})
