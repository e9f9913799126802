"""The page's own files."""

import base64
import gzip
import hashlib
import re

import httpx
import pytest

from services.gateway.pages import Web
from services.gateway.problems import Problem
from tests.gateway.doors import Door

INDEX = """<!doctype html><script>let a = "ü";</script>
<script type="importmap">{"imports": {"x": "{{base}}/x.js"}}</script>
<script type="module" src="{{base}}/main.js"></script>"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "web"
    (folder / "vendor" / "fonts").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "main.js").write_text("export const a = 1;\n" * 50)
    (folder / "page.css").write_text("body {}")
    (folder / "vendor" / "fonts" / "a.woff2").write_bytes(b"wOF2")
    (folder / "vendor" / "notes.tmp").write_text("x")
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("home")) as door, httpx.Client(base_url=door.url) as browser:
        yield browser


def test_the_version_changes_with_every_byte(folder):
    before = Web(folder).version
    assert Web(folder).version == before
    (folder / "page.css").write_text("body { }")
    assert Web(folder).version != before


def test_the_page_names_its_files_below_its_version(folder):
    web = Web(folder)
    page = web.index()[0].data.decode()
    assert f'"./v/{web.version}/main.js"' in page
    assert "{{" not in page


def test_only_the_scripts_of_the_page_itself_may_stand_inline(folder):
    asset, policy = Web(folder).index()
    scripts = re.findall(r"<script[^>]*>(.+?)</script>", asset.data.decode())
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts}
    assert len(hashes) == 2
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == hashes
    assert "unsafe" not in policy


def test_another_version_or_an_unknown_file_is_not_there(folder):
    web = Web(folder)
    assert web.asset(web.version, "vendor/fonts/a.woff2")[0].media_type == "font/woff2"
    for version, path in ((web.version, "vendor/notes.tmp"), ("old", "main.js"), (web.version, "../pages.py")):
        with pytest.raises(Problem) as refused:
            web.asset(version, path)
        assert refused.value.status == 404


def test_who_works_on_the_page_sees_each_change_at_once(folder):
    web = Web(folder, fresh=True)
    assert web.asset("fresh", "page.css") == (web.asset("fresh", "page.css")[0], False)
    (folder / "page.css").write_text("html {}")
    assert web.asset("fresh", "page.css")[0].data == b"html {}"


def test_text_is_packed_once_and_comes_out_as_it_was(folder):
    asset, stays = Web(folder).asset(Web(folder).version, "main.js")
    assert stays
    assert len(asset.packed) < len(asset.data)
    assert gzip.decompress(asset.packed) == asset.data


def test_all_the_page_asks_for_is_there_with_its_type(real):
    page = real.get("/")
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    wanted = set(re.findall(r'"(\./v/[^"]+)"', page.text))
    assert len(wanted) > 3
    kinds = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2", ".svg": "image/svg+xml"}
    for path in wanted:
        if "." in path.rsplit("/", 1)[-1]:
            answer = real.get(path.removeprefix("."))
            assert answer.status_code == 200, path
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["content-type"].startswith(kinds["." + path.rsplit(".", 1)[-1]])


def test_nothing_in_the_page_leads_to_another_host(real):
    """Addresses stand in comments and licences of libraries; none may be where a browser follows it."""
    page = real.get("/")
    assert not re.search(r'(src|href|url)\s*[=(:]\s*["\']?\s*(https?:)?//', page.text)


def test_a_browser_that_unpacks_gets_it_packed(real):
    path = re.search(r'"\.(/v/[^"]+/main\.js)"', real.get("/").text)[1]
    packed = real.get(path, headers={"Accept-Encoding": "gzip"})
    plain = real.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content)
