"""The certificate of a job's gateway: made with the job's folder, for this one job, and gone with it.

The site believes this certificate alone. So nobody between the two reads what they say, and whoever else answers in
the job's place - at the port of its tunnel, or at its node's address - is told nothing, not even the token.
"""

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CERTIFICATE = "cert.pem"
KEY = "key.pem"
_EARLIER = datetime.timedelta(days=1)  # clocks of nodes may be late
_LASTS = datetime.timedelta(days=3650)  # longer than any job waits and runs; its key goes with the job


def make(folder: Path, job: str) -> None:
    """Write cert.pem and key.pem (0600) into the new `folder` (0700)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Reafference, job {job}")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _LASTS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, form, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    folder.mkdir(mode=0o700)
    for file, content in ((CERTIFICATE, certificate.public_bytes(pem)), (KEY, key.private_bytes(pem, form, plain))):
        with os.fdopen(os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(content)
