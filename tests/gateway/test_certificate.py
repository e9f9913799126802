"""Certificates: that of a job's gateway, which alone is believed there, and that of a server for everybody."""

import asyncio
import contextlib
import json
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time

import httpx
import pytest

from reafference import client
from reafference.errors import BadExperiment
from reafference.tls import trusting, trusting_alone
from services.gateway.jobs import certificate
from services.gateway.jobs.host import close
from services.gateway.jobs.serving_job import ServingJob
from services.gateway.remote.job_server import JobServer

from .job_gateway import JobGateway, Site, Wire
from .runs import LIMB, Run, uploaded
from .watching import Listener

SECRET = "a-token-that-nobody-else-may-see"


def made(folder, name="j4"):
    certificate.make(folder, name)
    return (folder / certificate.CERTIFICATE).read_text()


class Imposter:
    """Whoever came first to the port: keeps all that is said there. With `pair` it speaks TLS."""

    def __init__(self, pair=None):
        self.heard = b""
        self._tls = None
        if pair:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(pair / certificate.CERTIFICATE, pair / certificate.KEY)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._door.accept()
                threading.Thread(target=self._listen, args=(caller,), daemon=True).start()

    def _listen(self, caller):
        caller.settimeout(20)
        with contextlib.suppress(OSError), caller:
            line = self._tls.wrap_socket(caller, server_side=True) if self._tls else caller
            with line:
                while said := line.recv(1 << 16):
                    self.heard += said
                    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


def looked(url, pem):
    """A JobServer after one look."""

    async def look():
        job = ServingJob(id="j4", title="A job", url=url, token=SECRET, certificate=pem)
        server = JobServer(job)
        await server.look()
        await server.close()
        return server

    return asyncio.run(look())


def test_key_and_certificate_are_private_and_name_no_place(tmp_path):
    pem = made(tmp_path / "door")
    for path in (tmp_path / "door", *(tmp_path / "door").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert pem.count("BEGIN CERTIFICATE") == 1
    assert "PRIVATE" not in pem


@pytest.mark.parametrize("speaks", ["another certificate", "no TLS"])
def test_who_answers_in_a_jobs_place_is_told_nothing(tmp_path, speaks):
    pem = made(tmp_path / "own")
    if speaks == "another certificate":
        made(tmp_path / "other")
    with Imposter(tmp_path / "other" if speaks == "another certificate" else None) as imposter:
        server = looked(f"https://127.0.0.1:{imposter.port}", pem)
        time.sleep(0.2)
        assert not server.ready
        assert "does not have its certificate" in server.text
        assert SECRET.encode() not in imposter.heard
        assert b"/api/" not in imposter.heard


def test_a_line_that_breaks_is_not_taken_for_somebody_else(tmp_path):
    pem = made(tmp_path / "own")
    with socket.create_server(("127.0.0.1", 0)) as door:

        def hang_up():
            caller, _ = door.accept()
            with caller:
                caller.recv(1 << 16)  # the greeting, so that nothing is left unread

        threading.Thread(target=hang_up, daemon=True).start()
        server = looked(f"https://127.0.0.1:{door.getsockname()[1]}", pem)
    assert not server.ready
    assert "cannot be reached" in server.text
    assert "certificate" not in server.text


def test_a_certificate_vouches_for_no_other(tmp_path):
    """Whoever has a job's key cannot make a certificate for another place."""
    made(tmp_path / "own")
    made(tmp_path / "other")
    for mine, theirs, accepted in (("own", "own", True), ("own", "other", False)):
        with Imposter(tmp_path / theirs) as server:
            context = trusting_alone((tmp_path / mine / certificate.CERTIFICATE).read_text())
            with socket.create_connection(("127.0.0.1", server.port), 5) as line:
                if accepted:
                    with context.wrap_socket(line) as opened:
                        assert opened.version() == "TLSv1.3"
                else:
                    with pytest.raises(ssl.SSLCertVerificationError):
                        context.wrap_socket(line)


def test_nothing_of_a_run_on_a_job_can_be_read_on_the_way(tmp_path):
    with JobGateway(tmp_path / "job") as far, Tapped(far.url) as wire:
        with Site(tmp_path / "home", [far.job(wire.url)]) as site:
            site.ready()
            with Run(site.otto, uploaded(site.otto), server="j4") as run:
                run.built().put("/state", state="started")
                with Listener(site.url, run.id, site.secrets["otto"]).subscribe("body/joints") as heard:
                    heard.until(lambda: heard.of("body/joints"))
        assert len(wire.passed) > 2000
        for word in (far.token.encode(), b"authorization", b"Bearer", b"body/joints", b"j4-s1"):
            assert word.lower() not in wire.passed.lower()


class Tapped(Wire):
    """A wire on which somebody listens."""

    passed = b""

    def _passes(self, data):
        self.passed += data


def test_the_script_of_a_job_closes_its_gateway_and_no_other(tmp_path):
    token = tmp_path / "token"
    with JobGateway(tmp_path / "job") as far:
        token.write_text(far.token)
        assert close(far.url, str(token), str(far.folder / "door" / certificate.CERTIFICATE), 10)
        made(tmp_path / "other")
        with pytest.raises(OSError, match="certificate verify failed"):
            close(far.url, str(token), str(tmp_path / "other" / certificate.CERTIFICATE), 10)


# --- a server for everybody -----------------------------------------------------------------------------


def authority(folder, host="127.0.0.1"):
    """A certificate as a site makes one for a server, by the tool that is everywhere."""
    folder.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=site"]
    command += ["-addext", f"subjectAltName=IP:{host}"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=30)
    return folder / "cert.pem", folder / "key.pem"


def written(folder):
    """The experiment with a limb alone, as a folder."""
    folder.mkdir()
    for name, text in LIMB.items():
        (folder / name).write_text(text)
    return folder


@contextlib.contextmanager
def served(home, cert, key):
    """`reaf serve` with a certificate: what it says of itself."""
    command = [sys.executable, "-m", "reafference.cli", "serve", "--json", "--port", "0", "--home", str(home)]
    command += ["--certificate", str(cert), "--certificate-key", str(key)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process, process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_a_server_speaks_https_to_who_believes_its_certificate(tmp_path, monkeypatch):
    cert, key = authority(tmp_path / "authority")
    with served(tmp_path / "home", cert, key) as (_, line):
        told = json.loads(line)
        assert told["url"].startswith("https://127.0.0.1:")
        with pytest.raises(client.Unreachable, match="certificate"):
            client.connect(told["url"], told["token"])
        with client.connect(told["url"], told["token"], tls=trusting(cert)) as session:
            assert session.me().role == "admin"
        monkeypatch.setenv("REAF_CERTIFICATE", str(cert))
        with client.connect(told["url"], told["token"]) as session:
            limb = session.upload(written(tmp_path / "limb"))
            with session.launch(limb) as sim:
                sim.start()
                assert next(iter(sim.stream("body/joints"))).step >= 0
        other, _ = authority(tmp_path / "elsewhere", "127.0.0.2")
        monkeypatch.setenv("REAF_CERTIFICATE", str(other))
        with pytest.raises(client.Unreachable):
            client.connect(told["url"], told["token"])
        with pytest.raises(httpx.HTTPError):
            httpx.get(told["url"].replace("https", "http") + "api/me", timeout=5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--certificate", "{cert}"], "are given together"),
        (["--certificate", "{cert}", "--certificate-key", "missing.pem"], "missing.pem: No such file"),
        (["--certificate", "{cert}", "--certificate-key", "{other}"], "cannot be used with the key"),
        (["--certificate", "{key}", "--certificate-key", "{key}"], "cannot be used with the key"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_refused_in_a_sentence(tmp_path, given, words):
    (cert, key), (_, other) = authority(tmp_path / "a"), authority(tmp_path / "b")
    given = [one.format(cert=cert, key=key, other=other) for one in given]
    command = [sys.executable, "-m", "services.gateway", "--serve", "--port", "0", "--home", str(tmp_path / "home")]
    done = subprocess.run([*command, *given], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_a_file_without_a_certificate_is_named(tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for file in ("empty.pem", "missing.pem"):
        with pytest.raises(BadExperiment, match=f"{file} holds no certificate"):
            trusting(tmp_path / file)
