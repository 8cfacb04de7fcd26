"""A certificate for the embedded broker's TLS port, made once and kept: good for a demo on this machine only."""

import ipaddress
import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALIDITY: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where the files are. Clients trust `ca`, which is the certificate itself."""

    ca: Path
    key: Path


def ensure_certificate(directory: Path, now: datetime) -> Certificate:
    """The certificate in `directory`, made anew if missing or about to expire. The key is readable by us alone."""
    certificate = Certificate(directory / "broker.pem", directory / "broker.key")
    if _is_good(certificate, now):
        return certificate
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    handle = os.open(certificate.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    certificate.ca.write_bytes(_self_signed(key, now).public_bytes(serialization.Encoding.PEM))
    return certificate


def _is_good(certificate: Certificate, now: datetime) -> bool:
    if not certificate.ca.exists() or not certificate.key.exists():
        return False
    found = x509.load_pem_x509_certificate(certificate.ca.read_bytes())
    return found.not_valid_after_utc > now + RENEW_BEFORE


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OTA Console demo broker")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName(socket.gethostname())]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(key, hashes.SHA256())
