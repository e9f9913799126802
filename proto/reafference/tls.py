"""Which certificates of servers are believed: those of an authority that is named, or one alone."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from .errors import BadExperiment

CERTIFICATE = "REAF_CERTIFICATE"


def trusting(file: Path | str) -> ssl.SSLContext:
    """Believes what the certificates in this file (PEM) vouch for, under the name that a server is reached by.

    They are those of authorities, or the server's own. Raises BadExperiment if there is none in it.
    """
    try:
        return ssl.create_default_context(cafile=str(file))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadExperiment(f"{file} holds no certificate ({reason}): it must be a file in PEM") from None


def trusting_alone(pem: str) -> ssl.SSLContext:
    """Believes who holds the key of this one certificate, which signs no other, wherever it is reached.

    Where it stands cannot be in it: a job learns its node when it starts, and through a tunnel it is on our loopback.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.load_verify_locations(cadata=pem)
    return context


def from_environment(environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """`trusting` the file in REAF_CERTIFICATE; None where none is named: the usual authorities are believed then."""
    return trusting(environ[CERTIFICATE]) if environ.get(CERTIFICATE) else None
