"""REST: whether the server works, who I am, and the tokens."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, StringConstraints

from reafference import __version__
from reafference.frames import PROTOCOL

from ..people import Administrator, People, Reader, Role, Token

router = APIRouter(tags=["people"])

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]


class Health(BaseModel):
    """The server works; `tokens` says whether it asks for them."""

    status: str
    service: str
    version: str
    protocol: str
    tokens: bool


class Me(BaseModel):
    """Whose token this is."""

    name: str
    role: Role


class TokenWish(BaseModel):
    """Whom a new token is for."""

    name: Name
    role: Role


class TokenShown(BaseModel):
    """A token, without its secret."""

    id: str
    name: str
    role: Role
    created_at: str


class TokenMade(TokenShown):
    """A new token; its secret is shown here and never again."""

    token: str


@router.get("/health", openapi_extra={"security": []})
def health(request: Request) -> Health:
    """Whether the server works; needs no token."""
    return Health(
        status="ok",
        service="gateway",
        version=__version__,
        protocol=".".join(map(str, PROTOCOL)),
        tokens=_people(request).asked_for,
    )


@router.get("/me")
def me(person: Reader) -> Me:
    """Name and role of this token."""
    return Me(name=person.name, role=person.role)


@router.get("/tokens")
def list_tokens(request: Request, person: Administrator) -> list[TokenShown]:
    """All tokens, without their secrets."""
    return [_shown(token) for token in _people(request).all()]


@router.post("/tokens", status_code=201)
def make_token(wish: TokenWish, request: Request, person: Administrator) -> TokenMade:
    """A new token for somebody."""
    token, secret = _people(request).make(wish.name, wish.role)
    return TokenMade(**_shown(token).model_dump(), token=secret)


@router.delete("/tokens/{id}", status_code=204)
def revoke_token(id: str, request: Request, person: Administrator) -> Response:
    """Make a token worthless."""
    _people(request).revoke(id)
    return Response(status_code=204)


def _people(request: Request) -> People:
    people: People = request.app.state.gateway.people
    return people


def _shown(token: Token) -> TokenShown:
    return TokenShown(id=token.id, name=token.name, role=token.role, created_at=token.created_at)
