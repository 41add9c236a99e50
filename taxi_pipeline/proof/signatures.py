"""Signatures of manifests by an ed25519 key: 64 bytes beside the manifest, which OpenSSL makes and checks as well."""

from pathlib import Path
from typing import TYPE_CHECKING

from taxi_pipeline.errors import TaxiPipelineError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SUFFIX = ".sig"
"""At the end of the name of a file's signature."""


class KeyFileError(TaxiPipelineError):
    """A file is not the key that is asked for, or the library for keys is not installed."""


def sign(content: bytes, key: Path) -> bytes:
    """Sign bytes.

    Args:
        content: what is signed.
        key: PEM file of an ed25519 private key without a password.

    Returns:
        The signature, 64 bytes.

    Raises:
        KeyFileError: there is no such key.
    """
    return _private_key(key).sign(content)


def is_signed(content: bytes, signature: bytes, key: Path) -> bool:
    """Whether the signature of these bytes was made with the private key that belongs to a public one.

    Args:
        content: what was signed.
        signature: what `sign` returned, or anything else.
        key: PEM file of an ed25519 public key.

    Raises:
        KeyFileError: there is no such key.
    """
    public = _public_key(key)
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _private_key(path: Path) -> "Ed25519PrivateKey":
    pem = _read(path)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise KeyFileError(
            f"{path} has a password, which nobody can be asked for here. Name a key without one: openssl pkey -in "
            f"{path} -out KEY.pem"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is no ed25519 private key in PEM. Make one: openssl genpkey -algorithm ed25519")
    return key


def _public_key(path: Path) -> "Ed25519PublicKey":
    pem = _read(path)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(
            f"{path} is no ed25519 public key in PEM. It is made of the private one: openssl pkey -in KEY.pem -pubout"
        )
    return key


def _read(path: Path) -> bytes:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise KeyFileError("keys need the extra sign: pip install 'taxi-pipeline[sign]'") from None
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path} can't be read: {error.strerror}") from error
