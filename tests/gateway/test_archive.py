"""Zip files from outside: what is taken, and every way in which one is not."""

import io
import stat
import struct
import zipfile

import pytest

from services.gateway import archive
from services.gateway.problems import Problem
from tests.gateway.doors import SMALL, zip_of

MIB = 2**20


def unpacked(data, folder):
    folder.mkdir(exist_ok=True)
    archive.unpack(io.BytesIO(data), folder)
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def with_entry(name, content=b"x", *, mode=None, flag=0, method=zipfile.ZIP_DEFLATED):
    """A zip file with an experiment and one entry more."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, text in SMALL.items():
            zipped.writestr(path, text)
        entry = zipfile.ZipInfo(name)
        entry.compress_type = method
        if mode is not None:
            entry.external_attr = mode << 16
        zipped.writestr(entry, content)
    data = bytearray(buffer.getvalue())
    if flag:
        at = data.rindex(b"PK\x01\x02")
        struct.pack_into("<H", data, at + 8, flag)
    return bytes(data)


def renamed(data, before, after):
    """The bytes with a name of the same length, which the module that writes would not let pass."""
    assert len(before) == len(after)
    return data.replace(before, after)


def refusal(data, folder):
    folder.mkdir()
    with pytest.raises(Problem) as refused:
        archive.unpack(io.BytesIO(data), folder)
    assert len(refused.value.detail) < 300
    return refused.value.status, refused.value.detail


def test_files_at_the_top_or_in_one_folder_are_the_same(tmp_path):
    plain = unpacked(zip_of(SMALL), tmp_path / "plain")
    nested = unpacked(zip_of({f"mine/{path}": text for path, text in SMALL.items()}), tmp_path / "nested")
    assert plain == nested == SMALL


def test_what_some_systems_add_is_left_out(tmp_path):
    extra = {"__MACOSX/mine/._transfer.py": "x", "mine/.DS_Store": "x", "mine/": ""}
    assert unpacked(zip_of({f"mine/{p}": t for p, t in SMALL.items()} | extra), tmp_path / "x") == SMALL


def test_what_was_packed_comes_back(tmp_path):
    first = tmp_path / "first"
    unpacked(zip_of(SMALL | {"data/x.csv": "1,2\n"}), first)
    buffer = io.BytesIO()
    archive.pack(first, ["experiment.toml", "transfer.py", "data/x.csv"], buffer, "first")
    assert unpacked(buffer.getvalue(), tmp_path / "second") == SMALL | {"data/x.csv": "1,2\n"}


@pytest.mark.parametrize(
    "name",
    ["../evil.py", "a/../../evil.py", "/etc/evil.py", "..\\evil.py", "C:\\evil.py", ".hidden", "recordings/x/y",
     "__MACOSX/../../evil.py", "a//b.py", "con.py", "x" * 300],
)  # fmt: skip
def test_an_entry_that_leads_elsewhere_is_refused_and_nothing_is_written(tmp_path, name):
    folder = tmp_path / "in" / "deep"
    folder.parent.mkdir()
    status, _ = refusal(with_entry(name), folder)
    assert status == 422
    assert not any(folder.iterdir())
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_a_name_with_a_zero_byte_is_refused(tmp_path):
    data = renamed(with_entry("evilQ.py"), b"evilQ.py", b"evil\0.py")
    assert refusal(data, tmp_path / "x")[0] == 422


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path, kind):
    status, text = refusal(with_entry("link", b"/etc/passwd", mode=kind | 0o777), tmp_path / "x")
    assert status == 422
    assert "link" in text


def test_an_entry_that_grows_too_much_is_refused_before_it_is_unpacked(tmp_path):
    status, text = refusal(with_entry("zeros.bin", b"\0" * (30 * MIB)), tmp_path / "x")
    assert status == 413
    assert "200 times" in text
    assert not any((tmp_path / "x").iterdir())


def test_more_than_a_gigabyte_unpacked_is_refused_by_what_it_declares(tmp_path):
    data = bytearray(with_entry("huge.bin", b"abc"))
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 0xFFFFFFF0)
    status, text = refusal(bytes(data), tmp_path / "x")
    assert status == 413
    assert "1024" in text


def test_an_entry_that_says_less_than_it_is_is_stopped_at_what_it_said(tmp_path):
    content = bytes(range(256)) * 4096
    data = bytearray(with_entry("liar.bin", content, method=zipfile.ZIP_STORED))
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 1000)
    folder = tmp_path / "x"
    status, _ = refusal(bytes(data), folder)
    assert status == 422
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 300_000


def test_too_many_entries_are_refused(tmp_path):
    status, text = refusal(zip_of({f"f{n}": "" for n in range(archive.MOST_ENTRIES + 1)}), tmp_path / "x")
    assert status == 413
    assert "10,000" in text


@pytest.mark.parametrize(
    "files", [{"a.py": "1", "A.PY": "2"}, {"é.py": "1", "e\u0301.py": "2"}, {"a": "1", "a/b.py": "2"}]
)
def test_names_that_are_one_on_some_systems_are_refused(tmp_path, files):
    assert refusal(zip_of(SMALL | files), tmp_path / "x")[0] == 422


def test_a_password_or_an_unusual_packing_is_refused(tmp_path):
    assert "password" in refusal(with_entry("a", flag=0x1), tmp_path / "x")[1]
    assert "deflate" in refusal(with_entry("a", method=zipfile.ZIP_LZMA), tmp_path / "y")[1]


@pytest.mark.parametrize("cut", [0, 10, 100, -30, -5])
def test_what_is_no_whole_zip_file_is_refused(tmp_path, cut):
    data = zip_of(SMALL)
    assert refusal(data[:cut], tmp_path / "x")[0] == 422


def test_a_byte_that_has_tipped_over_is_found(tmp_path):
    data = bytearray(zip_of({"experiment.toml": "x" * 10_000 + "abcdefgh"}))
    data[60] ^= 0xFF
    assert refusal(bytes(data), tmp_path / "x")[0] == 422


def test_what_nobody_means_to_send_is_left_out_where_that_is_wished(tmp_path):
    beside = [".git/config", "a/.ipynb_checkpoints/b.py", "__pycache__/x.pyc", "lib/__pycache__/y.pyc", ".hidden"]
    for number, top in enumerate(("", "mine/")):
        files = {top + path: text for path, text in SMALL.items()}
        files |= {top + path: "x" for path in (*beside, "recordings/run/recording.mcap")}
        folder = tmp_path / str(number)
        folder.mkdir()
        archive.unpack(io.BytesIO(zip_of(files)), folder, tidying=True)
        assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(SMALL)


@pytest.mark.parametrize("name", ["../evil.py", "a/../../evil.py", "/etc/evil.py", "C:\\evil.py", "con.py"])
def test_what_is_dangerous_is_refused_all_the_same(tmp_path, name):
    with pytest.raises(Problem):
        archive.unpack(io.BytesIO(with_entry(name)), tmp_path, tidying=True)
    assert list(tmp_path.iterdir()) == []
