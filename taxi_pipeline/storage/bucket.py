"""A bucket of an object store (S3, Google Cloud Storage, Azure): requests, patience, errors that say what to do.

`obstore` signs and sends the requests, and repeats those that fail for now. What names mean, and when a file is whole,
is decided in `object_store`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from taxi_pipeline.storage.interface import MissingFileError
from taxi_pipeline.storage.whole_files import StorageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART_BYTES = 16 << 20
"""Size of a part; a larger file is uploaded in several parts."""
PARTS_AT_ONCE = 2
READ_BYTES = 1 << 20

_PATIENCE: dict[str, Any] = {
    "max_retries": 8,
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=20), "base": 2},
    "retry_timeout": timedelta(minutes=3),
}
_CLIENT: dict[str, Any] = {
    "allow_http": True,  # an endpoint with http:// was written down by the user
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=60),
    "timeout": timedelta(hours=1),  # of a whole file; one that stalls is noticed by the read timeout
}

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "EntityTooLarge", "413", "507"}
_THROTTLED = {"SlowDown", "ServerBusy", "Throttling", "ThrottlingException", "TooManyRequests", "429", "503"}
_REFUSED = {"401", "403"}
"""Codes and HTTP statuses of answers, as S3, Google Cloud Storage, Azure and other servers give them."""


class ChangedError(Exception):
    """The object is not, or no longer, the version that was asked for."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What the store knows of an object."""

    e_tag: str
    size_bytes: int
    attributes: Mapping[str, str]


class Bucket:
    """The objects below a prefix. A name is that of an object without the prefix."""

    def __init__(self, url: str, *, patience: Mapping[str, Any] | None = None) -> None:
        """Nothing is requested yet.

        Args:
            url: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
            patience: a `RetryConfig` of obstore; None for eight more attempts, with pauses of 45 s in all.
        """
        self.url = url.rstrip("/")
        self._patience = {**_PATIENCE, **(patience or {})}
        self._exists = False

    def uri(self, name: str) -> str:
        """Where the object lies."""
        return f"{self.url}/{name}"

    def head(self, name: str) -> StoredObject:
        """What the store knows of an object.

        Raises:
            MissingFileError: there is no such object.
        """
        import obstore

        with self._explaining(name):
            found = obstore.get(self._store, name, options={"head": True})
        return StoredObject(
            e_tag=found.meta["e_tag"] or "", size_bytes=found.meta["size"], attributes=dict(found.attributes)
        )

    def read(self, name: str) -> tuple[bytes, str]:
        """An object's content and ETag.

        Raises:
            MissingFileError: there is no such object.
        """
        import obstore

        with self._explaining(name):
            found = obstore.get(self._store, name)
            return bytes(found.bytes()), found.meta["e_tag"] or ""

    def parts(self, name: str, *, e_tag: str) -> Iterator[bytes]:
        """An object's content in parts.

        Raises:
            MissingFileError: there is no such object.
            ChangedError: it is another version.
        """
        import obstore

        with self._explaining(name):
            found = obstore.get(self._store, name, options={"if_match": e_tag})
            if found.meta["e_tag"] != e_tag:  # of a server that does not know the condition
                raise ChangedError(self.uri(name))
            yield from found.stream(min_chunk_size=READ_BYTES)

    def put(self, name: str, content: bytes | Path, *, attributes: Mapping[str, str] | None = None) -> str:
        """Write an object, whole or not at all, and give its ETag.

        The client signs each part with its SHA-256, so S3 refuses what was damaged on its way.

        Args:
            name: of the object.
            content: bytes, or the path of a file, which is sent in parts.
            attributes: its content type and metadata.

        Raises:
            StorageError: the store does not take it; what was there before stays.
        """
        import obstore

        with self._explaining(name):
            put = obstore.put(
                self._store,
                name,
                content,
                attributes=dict(attributes or {}),
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
        return put["e_tag"] or ""

    def names(self, folder: str) -> list[str]:
        """The names of the objects in a folder, without those in folders below."""
        import obstore

        with self._explaining(folder):
            return [found["path"] for found in obstore.list_with_delimiter(self._store, folder or None)["objects"]]

    def names_below(self, folder: str) -> list[str]:
        """The names of the objects in a folder and in all folders below."""
        import obstore

        with self._explaining(folder):
            return [found["path"] for part in obstore.list(self._store, folder) for found in part]

    def delete(self, name: str) -> None:
        """Remove an object, if it exists."""
        import obstore

        try:
            with self._explaining(name):
                obstore.delete(self._store, name)
        except MissingFileError:
            pass

    @cached_property
    def _store(self) -> "ObjectStore":
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        options: dict[str, Any] = {"client_options": _CLIENT, "retry_config": self._patience}
        if urlsplit(self.url).scheme == "s3":
            options["credential_provider"] = _aws_credentials(self.url)
        try:
            return from_url(self.url, **options)
        except (BaseError, ValueError) as error:
            raise StorageError(f"{self.url} can't be opened: {_first_line(str(error))}") from None

    @contextmanager
    def _explaining(self, name: str) -> Iterator[None]:
        """Turn an error of the library into one that says what happened and what to do, without its dump.

        The dump holds what was signed and with which key; that belongs in no log.
        """
        from obstore import exceptions

        try:
            yield
        except FileNotFoundError as error:
            raise self._not_found(name, str(error)) from None
        except (exceptions.PreconditionError, exceptions.NotModifiedError):
            raise ChangedError(self.uri(name)) from None
        except exceptions.BaseError as error:
            raise StorageError(self._explained(name, str(error))) from None

    def _not_found(self, name: str, text: str) -> Exception:
        """No such object; or no such bucket, which an answer without a body does not tell."""
        if _NO_BUCKET & _codes_in(text):
            return StorageError(self._explained(name, text))
        if not self._exists:
            try:
                self.names("")
            except StorageError as error:
                return error
            self._exists = True
        return MissingFileError(f"{self.uri(name)} does not exist")

    def _explained(self, name: str, text: str) -> str:
        codes = _codes_in(text)
        if _NO_BUCKET & codes:
            return (
                f"{self.url} can't be used: there is no such bucket. Make it, or correct TAXI_STORAGE_URL; "
                "nothing was changed"
            )
        reason = _reason_in(text)
        what = f"{self.uri(name)}: the object store"
        if _EXPIRED & codes:
            return f"{what} says that the credentials have expired ({reason}). Renew them, then run again"
        if _FULL & codes:
            return f"{what} is full ({reason}). What was there stays; make room or raise the quota, then run again"
        if _THROTTLED & codes:
            return f"{what} throttles ({reason}). Run again later, or with fewer runs at once"
        if _REFUSED & codes:
            return (
                f"{what} refuses ({reason}). Check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, a role, or those "
                "of the store) and what they may do, then run again"
            )
        return f"{what} fails ({reason}). Check the network and the endpoint of the store, then run again"


def _aws_credentials(url: str) -> Any:
    """Credentials as every AWS tool finds them: environment, profile, single sign-on, role."""
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider()
    except (BotoCoreError, ValueError) as error:
        reason = str(error) if isinstance(error, BotoCoreError) else "there are none"
        raise StorageError(
            f"{url} can't be used without credentials ({reason}). Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or give the machine a role"
        ) from None


def _codes_in(text: str) -> set[str]:
    """The HTTP status and the code of the answer, in the text of a library's error."""
    return set(re.findall(r"status code: (\d{3})\b", text)) | set(re.findall(r"<Code>(\w+)</Code>", text))


def _reason_in(text: str) -> str:
    """The code and the message of the store's answer, else its status, else the first line of the library's error."""
    code, message = (re.search(rf"<{tag}>([^<]*)</{tag}>", text) for tag in ("Code", "Message"))
    if found := ": ".join(match[1].strip() for match in (code, message) if match):
        return found
    status = re.search(r"status code: (\d+ [A-Za-z ]+)", text)
    return status[1].strip() if status else _first_line(text)


def _first_line(text: str) -> str:
    # A query can hold a signature.
    return re.sub(r"\?\S+", "", text.strip().partition("\n")[0]).strip()
