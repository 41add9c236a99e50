"""An S3 server: OpenStack Swift with its `s3api`, as four real processes with one disk, in a folder.

Swift checks signatures, SHA-256 and MD5, hides unfinished multipart uploads, and answers like S3.
"""

import subprocess
from pathlib import Path

ACCESS_KEY = "taxi:pipeline"
SECRET_KEY = "only-for-tests"  # noqa: S105 - of a server on loopback
_PARTITION_POWER = "4"

_NODE = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
devices = {devices}
mount_check = false
swift_dir = {folder}
workers = 0
user = {user}
log_level = WARNING
{extra}
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""

# `symlink` stands before `versioned_writes`, without which `s3api` answers no multipart upload.
_PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
workers = 0
user = {user}
log_level = WARNING

[pipeline:main]
pipeline = catch_errors cache listing_formats bulk s3api tempauth container-quotas
    slo symlink versioned_writes proxy-server

[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
check_bucket_owner = false
cors_preflight_allow_origin =
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user_name} = {secret} .admin
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:slo]
use = egg:swift#slo
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
"""


def write_configuration(folder: Path, bin_folder: Path, *, ports: dict[str, int], user: str) -> None:
    """Write the configuration of the four servers, and the rings by which they find each other.

    Args:
        folder: holds all that the servers need and store.
        bin_folder: of the environment that Swift is installed in.
        ports: by kind of server: `account`, `container`, `object`, `proxy`.
        user: that runs the servers.
    """
    devices = folder / "devices"
    (devices / "disk").mkdir(parents=True, exist_ok=True)
    # The memcache filter needs an address; nothing listens there, so nothing is cached.
    (folder / "memcache.conf").write_text("[memcache]\nmemcache_servers = 127.0.0.1:9\n")
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = tests\nswift_hash_path_prefix = tests\n\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    for kind in ("account", "container", "object"):
        (folder / f"{kind}-server.conf").write_text(
            _NODE.format(
                kind=kind,
                port=ports[kind],
                devices=devices,
                folder=folder,
                user=user,
                extra="disable_fallocate = true\n" if kind == "object" else "",
            )
        )
        builder = folder / f"{kind}.builder"
        builder.unlink(missing_ok=True)  # of an earlier start, with other ports
        for arguments in (
            ["create", _PARTITION_POWER, "1", "1"],
            ["add", f"r1z1-127.0.0.1:{ports[kind]}/disk", "1"],
            ["rebalance"],
        ):
            subprocess.run(
                [bin_folder / "swift-ring-builder", builder, *arguments], check=True, stdout=subprocess.DEVNULL
            )
    account, user_name = ACCESS_KEY.split(":")
    (folder / "proxy-server.conf").write_text(
        _PROXY.format(
            port=ports["proxy"], folder=folder, user=user, account=account, user_name=user_name, secret=SECRET_KEY
        )
    )


def commands(folder: Path, bin_folder: Path) -> dict[str, list[str]]:
    """The commands that start the servers, by kind."""
    return {
        kind: [str(bin_folder / f"swift-{kind}-server"), str(folder / f"{kind}-server.conf")]
        for kind in ("account", "container", "object", "proxy")
    }


def limit_bucket(folder: Path, bin_folder: Path, bucket: str, size_bytes: int) -> None:
    """Let a bucket hold so many bytes and no more; asks the container's server, as S3 has no call for it."""
    code = (
        "import sys\n"
        "from swift.common import direct_client, ring, utils\n"
        "folder, account, bucket, size = sys.argv[1:]\n"
        "utils.set_swift_dir(folder)\n"
        "part, nodes = ring.Ring(folder, ring_name='container').get_nodes(account, bucket)\n"
        "headers = {'X-Container-Meta-Quota-Bytes': size}\n"
        "direct_client.direct_post_container(nodes[0], part, account, bucket, headers=headers)\n"
    )
    account = f"AUTH_{ACCESS_KEY.partition(':')[0]}"
    command = [str(bin_folder / "python"), "-W", "ignore", "-c", code, str(folder), account, bucket, str(size_bytes)]
    subprocess.run(command, check=True)
