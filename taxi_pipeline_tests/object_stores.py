"""Storages for tests that run on each kind: a folder, and a prefix of its own on a real S3 server."""

import uuid
from pathlib import Path

import pytest

from taxi_pipeline.storage import Storage, open_storage
from taxi_pipeline_tests.services.fixtures import service
from taxi_pipeline_tests.services.servers import BUCKET

S3 = pytest.param("s3", marks=pytest.mark.services)
"""A parameter `s3`, which runs in `make test-services`."""
STORAGES = ("folder", S3)


def storage_url(kind: str, folder: Path) -> str:
    """The URL of an empty storage: `folder` or `s3`."""
    if kind == "folder":
        return (folder / "storage").as_uri()
    service("TAXI_TEST_S3_URL")
    return f"s3://{BUCKET}/{uuid.uuid4()}"


def storage_at(url: str, folder: Path) -> Storage:
    """The storage at a URL, with its scratch in the folder."""
    return open_storage(url, scratch=folder / "scratch")
