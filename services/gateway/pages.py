"""The page: files of a folder, read once, under a path that changes with them.

So browsers may keep every file for ever, and a new version is seen at once. The page's own scripts that stand in
`index.html` are allowed by their hash, nothing else inline is.
"""

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from .problems import Problem

WEB = Path(__file__).parent / "web"
_DOCUMENTS = (Path(__file__).parent / "CLUSTER.md",)
"""What the page links to: found below docs/, where they are installed."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_PACKED = (".css", ".html", ".js", ".json", ".md", ".svg", ".txt")
_FOR_EVER = "public, max-age=31536000, immutable"
_INLINE = re.compile(r"<script(?![^>]*\ssrc\s*=)[^>]*>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
_NO_PAGE = b"<!doctype html><title>Reafference</title><p>The page is not installed; the API is at api/openapi.json.</p>"
_BASE = "{{base}}"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it goes out."""

    data: bytes
    packed: bytes | None
    media_type: str


class Web:
    """The files of the page. `fresh`: read them anew at each request, for whoever works on them."""

    def __init__(self, folder: Path = WEB, *, fresh: bool = False) -> None:
        self._folder, self._fresh = folder, fresh
        self._read()

    @property
    def version(self) -> str:
        """Changes with any byte of any file."""
        return self._version

    def index(self) -> tuple[Asset, str]:
        """The page, and its content security policy."""
        if self._fresh:
            self._read()
        return self._index, self._policy

    def asset(self, version: str, path: str) -> tuple[Asset, bool]:
        """A file, and whether it stays as it is for ever; raises Problem 404 if there is none."""
        if self._fresh:
            self._read()
        asset = self._assets.get(path)
        if asset is None or (version != self._version and not self._fresh):
            raise Problem(404, "not_found", f"the page has no file {path!r} in this version: load it anew")
        return asset, not self._fresh

    def _read(self) -> None:
        files = {path: file.read_bytes() for path, file in self._files()}
        digest = hashlib.sha256()
        for path, data in files.items():
            digest.update(f"{path}\0{len(data)}\0".encode() + data)
        self._version = "fresh" if self._fresh else digest.hexdigest()[:16]
        self._assets = {path: self._asset(path, data) for path, data in files.items() if path != "index.html"}
        page = files.get("index.html", _NO_PAGE).replace(_BASE.encode(), f"./v/{self._version}".encode())
        self._index, self._policy = self._asset("index.html", page), _policy(page.decode("utf-8"))

    def _files(self) -> list[tuple[str, Path]]:
        found = [file for file in self._folder.rglob("*") if file.is_file() and file.suffix in _TYPES]
        documents = [(f"docs/{file.name}", file) for file in _DOCUMENTS if file.is_file()]
        return sorted([*((file.relative_to(self._folder).as_posix(), file) for file in found), *documents])

    def _asset(self, path: str, data: bytes) -> Asset:
        suffix = Path(path).suffix
        packed = gzip.compress(data, 6, mtime=0) if suffix in _PACKED and not self._fresh else None
        return Asset(data, packed, _TYPES[suffix])


def router_of(web: Web) -> APIRouter:
    """The routes of the page."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    def index(request: Request) -> Response:
        asset, policy = web.index()
        return _response(request, asset, {"Cache-Control": "no-cache", "Content-Security-Policy": policy})

    @router.api_route("/v/{version}/{path:path}", methods=["GET", "HEAD"])
    def asset(request: Request, version: str, path: str) -> Response:
        found, stays = web.asset(version, path)
        headers = {"Cache-Control": _FOR_EVER if stays else "no-store"}
        if path.endswith(".js"):
            # Of a worker its own policy counts.
            headers["Content-Security-Policy"] = _policy("")
        return _response(request, found, headers)

    return router


def _response(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    headers["Vary"] = "Accept-Encoding"
    data = asset.data
    if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        data, headers["Content-Encoding"] = asset.packed, "gzip"
    headers["Content-Type"] = asset.media_type  # as it is: Starlette would add a character set of its own
    return Response(data, headers=headers)


def _policy(page: str) -> str:
    hashes = "".join(f" 'sha256-{_sha256(text)}'" for text in _INLINE.findall(page))
    return (
        f"default-src 'self'; script-src 'self'{hashes}; style-src 'self'; img-src 'self' blob: data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
