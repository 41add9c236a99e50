"""The files in `deploy/`: their form, and the processes of `compose.yaml` without containers.

The same commands with the same configuration run here as processes; the hosts are loopback and the ports free ones.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.faulty_server import Answer, faulty_server
from taxi_pipeline_tests.pipelines import EVERYTHING, IN_A_RUN_OF_DAYS, pipeline_in, tables_of
from taxi_pipeline_tests.running_dagster import RUNS, ask, end_of_backfill, launch_backfill, wait_for
from taxi_pipeline_tests.services.fixtures import fresh_database, service
from taxi_pipeline_tests.services.servers import BUCKET, free_ports

DEPLOY = REPOSITORY / "deploy"
BIN = Path(sys.executable).parent


def read(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


# Form


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("vendor.compose-spec", "deploy/compose.yaml"),
        *(("vendor.github-workflows", f".github/workflows/{name}.yml") for name in ("ci", "release")),
        ("vendor.dependabot", ".github/dependabot.yml"),
        ("vendor.citation-file-format", "CITATION.cff"),
    ],
)
def test_files_follow_their_schema(schema: str, path: str) -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", schema, REPOSITORY / path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_manifests_of_kubernetes_follow_its_schema() -> None:
    command = [BIN / "kubernetes-validate", "--strict", DEPLOY / "kubernetes.yaml"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_only_the_proxy_is_published_and_on_loopback() -> None:
    services = read(DEPLOY / "compose.yaml")["services"]
    published = {name: found["ports"] for name, found in services.items() if "ports" in found}
    assert published == {"proxy": ["127.0.0.1:3000:3000", "127.0.0.1:3001:3001"]}
    for name, found in services.items():
        assert "healthcheck" in found, name
        assert found["restart"] == "unless-stopped", name
        assert found["security_opt"] == ["no-new-privileges:true"], name
    for name in ("code", "webserver", "daemon", "pages"):
        assert services[name]["read_only"], name
        assert services[name]["cap_drop"] == ["ALL"], name
    with_warehouse = [name for name, found in services.items() if "warehouse:/data" in found.get("volumes", [])]
    assert with_warehouse == ["code"], "DuckDB's file has one user"


def test_readers_of_the_pages_do_not_get_the_figures() -> None:
    """A Prometheus beside the services asks the pages themselves."""
    caddyfile = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    (of_the_pages,) = re.findall(r"^:3001 \{\n(.*?)^\}", caddyfile, re.MULTILINE | re.DOTALL)
    assert "respond /metrics 404\n" in of_the_pages


def test_each_service_has_the_secrets_and_the_networks_that_it_needs() -> None:
    files = {path.stem: path.read_text(encoding="utf-8") for path in (DEPLOY / "secrets.example").glob("*.env")}
    names = {name for text in files.values() for name in re.findall(r"^([A-Z_]+)=", text, flags=re.MULTILINE)}
    assert {"POSTGRES_PASSWORD", "DAGSTER_POSTGRES_URL", "AWS_SECRET_ACCESS_KEY"} <= names
    assert "choose" not in "".join(files.values()), "no sample password works"
    services = read(DEPLOY / "compose.yaml")["services"]
    for name, found in services.items():
        assert not names & set(found.get("environment", {})), f"{name}: they come from the files of secrets"
    given = {name: found.get("env_file", []) for name, found in services.items()}
    secrets = {name: {Path(path).stem for path in ([of] if isinstance(of, str) else of)} for name, of in given.items()}
    networks = {name: set(found["networks"]) for name, found in services.items()}
    all_of_them = set(files)
    assert secrets == {
        "postgres": {"database"}, "s3": {"store"}, "code": all_of_them, "daemon": all_of_them,
        "webserver": {"database"}, "pages": {"store"}, "proxy": set(),
    }  # fmt: skip
    assert networks == {
        "postgres": {"inside"}, "s3": {"store"}, "code": {"inside", "store"}, "daemon": {"inside", "store"},
        "webserver": {"outside", "inside"}, "pages": {"outside", "store"}, "proxy": {"outside"},
    }  # fmt: skip
    assert "/deploy/secrets/" in (REPOSITORY / ".gitignore").read_text().splitlines()


def test_passwords_are_chosen_as_documented(tmp_path: Path) -> None:
    """And the workflow that tries the deployment chooses them in the same way."""
    copied = shutil.copytree(DEPLOY, tmp_path / "deploy")
    (shown,) = re.findall(
        r"```sh\n(cp -r secrets\.example .*?)docker compose build", (DEPLOY / "README.md").read_text(), re.DOTALL
    )
    subprocess.run(["bash", "-e", "-c", shown], cwd=copied, check=True)
    database = dict(re.findall(r"^(\w+)=(.*)$", (copied / "secrets" / "database.env").read_text(), re.MULTILINE))
    store = dict(re.findall(r"^(\w+)=(.*)$", (copied / "secrets" / "store.env").read_text(), re.MULTILINE))
    assert len(database["POSTGRES_PASSWORD"]) == 32
    assert (
        database["DAGSTER_POSTGRES_URL"] == f"postgresql://taxi:{database['POSTGRES_PASSWORD']}@postgres:5432/dagster"
    )
    assert len(store["AWS_SECRET_ACCESS_KEY"]) == 32
    steps = read(REPOSITORY / ".github" / "workflows" / "ci.yml")["jobs"].values()
    commands = [step.get("run", "") for job in steps for step in job["steps"]]
    assert [re.sub(" +#.*", "", line) for line in shown.splitlines()] in [text.splitlines() for text in commands]


def test_the_instances_differ_only_in_what_a_server_needs() -> None:
    ours, theirs = read(REPOSITORY / "dagster.yaml"), read(DEPLOY / "dagster.yaml")
    differ = {key for key in ours | theirs if ours.get(key) != theirs.get(key)}
    storages = {"run_storage", "event_log_storage", "schedule_storage"}
    assert differ == {*storages, "run_launcher", "run_queue", "run_retries", "run_monitoring"}
    for storage in storages:
        assert theirs[storage]["config"] == {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}


def test_the_instance_of_a_cluster_differs_only_in_how_many_runs_write() -> None:
    server, cluster = read(DEPLOY / "dagster.yaml"), read(DEPLOY / "cluster" / "dagster.yaml")
    assert {key for key in server | cluster if server.get(key) != cluster.get(key)} == {"concurrency"}
    assert "pools" not in cluster["concurrency"], "no pool has a limit"


def test_the_image_has_all_that_is_installed_and_runs_the_commands_of_compose() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, flags=re.MULTILINE))
    for name in " ".join(copied).split():
        assert (REPOSITORY / name).exists(), name
        assert f"!{name}" in (REPOSITORY / ".dockerignore").read_text().splitlines(), name
    command = re.findall(r"^CMD (.*)$", dockerfile, flags=re.MULTILINE)[-1]
    assert yaml.safe_load(command) == read(DEPLOY / "compose.yaml")["services"]["code"]["command"]


# Processes


@dataclass
class Deployment:
    """The services of `compose.yaml` as processes."""

    folder: Path
    variables: dict[str, str]
    ports: dict[str, int]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """URL of the UI."""
        return f"http://127.0.0.1:{self.ports['3000']}"

    def start(self, name: str) -> None:
        """Start a service by its command and its settings in `compose.yaml`."""
        declared = read(DEPLOY / "compose.yaml")["services"][name]
        command = [self.ports.get(part, part) for part in declared["command"]]
        # Compose replaces ${NAME:-default} by the variable, else by the default.
        settings = {
            key: re.sub(r"\$\{(\w+):-(.*?)\}", lambda found: self.variables.get(found[1], found[2]), value)
            for key, value in declared["environment"].items()
        }
        environment = {**os.environ, **settings, **self.variables, "PATH": f"{BIN}:{os.environ['PATH']}"}
        if "secrets/database.env" not in declared["env_file"]:
            del environment["DAGSTER_POSTGRES_URL"]
        if "secrets/store.env" not in declared["env_file"]:
            environment = {key: value for key, value in environment.items() if not key.startswith("AWS_")}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [str(part) for part in command],
                env=environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, *names: str) -> None:
        """SIGKILL for a service and all that it started, as when a container ends."""
        for name in names:
            process = self.running.pop(name)
            # The processes of runs lead sessions of their own, but are children in the container.
            for child in _descendants(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait_until_up(self) -> None:
        """Wait until the webserver has loaded the code from its server."""

        def is_up() -> bool:
            for name, process in self.running.items():
                assert process.poll() is None, (self.folder / f"{name}.log").read_text()[-3000:]
            with suppress(requests.ConnectionError, AssertionError, KeyError):
                nodes = ask(self.url, "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
                return bool(nodes["repositoriesOrError"]["nodes"])
            return False

        wait_for("the deployment", is_up)

    def statuses(self) -> list[str]:
        """Statuses of all runs, the newest first."""
        return [run["status"] for run in ask(self.url, RUNS, filter={})["runsOrError"]["results"]]


def _descendants(process_id: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{process_id}/task").glob("*/children"):
        for child in path.read_text().split():
            found += [*_descendants(int(child)), int(child)]
    return found


@contextmanager
def deployed(folder: Path, tlc_url: str, database: str) -> Iterator[Deployment]:
    """All services, started and stopped."""
    home = folder / "dagster"
    home.mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        (home / name).write_text((DEPLOY / name).read_text())
        (folder / name).write_text((DEPLOY / name).read_text())
    ports: dict[str, int] = dict(zip(("3000", "3001", "4000"), free_ports(3), strict=True))
    variables = {
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_STORAGE_URL": f"s3://{BUCKET}/{uuid.uuid4()}",
        "TAXI_AUTOMATION": "off",
        "TLC_URL": tlc_url,
        "TAXI_PAGES_URL": f"http://127.0.0.1:{ports['3001']}",
        "AWS_ENDPOINT_URL": service("TAXI_TEST_S3_URL"),
        "DAGSTER_POSTGRES_URL": database,
        "CODE_SERVER_HOST": "127.0.0.1",
        "CODE_SERVER_PORT": str(ports["4000"]),
        "NO_PROXY": "127.0.0.1",
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    deployment = Deployment(folder, variables, ports)
    with ExitStack() as stack:
        stack.callback(lambda: deployment.kill(*list(deployment.running)))
        for name in ("code", "webserver", "daemon", "pages"):
            deployment.start(name)
        deployment.wait_until_up()
        yield deployment


@pytest.mark.services
@pytest.mark.slow
def test_the_deployment_survives_the_end_of_its_code_server(mirror: Path, tmp_path: Path) -> None:
    """Two months over GraphQL; the code server and its runs get SIGKILL in the middle; nothing is lost or doubled.

    Regression: with Dagster's own launcher the killed run stayed "started", and the backfill never ended.
    """
    # The month that is being fetched is killed in its middle: it takes twenty seconds the first time.
    alone = pipeline_in(tmp_path / "alone", mirror)
    alone.run("2023-01-01", "2023-02-28", select=EVERYTHING)
    days = [f"2023-01-{day:02}" for day in range(1, 32)] + [f"2023-02-{day:02}" for day in range(1, 29)]
    january = "/trip-data/yellow_tripdata_2023-01.parquet"
    body, version = (mirror / january.lstrip("/")).read_bytes(), {"ETag": '"1"'}
    with (
        faulty_server() as tlc,
        fresh_database() as database,
        deployed(tmp_path, tlc.url, database) as deployment,
    ):
        tlc.folder = mirror
        slow = Answer(body=body, headers=version, trickle=(len(body) // 40, 0.5))
        tlc.answers[january] = [slow, Answer(body=body, headers=version)]
        backfill = launch_backfill(deployment.url, list(IN_A_RUN_OF_DAYS), days)
        wait_for("a download", lambda: any(request.bytes_sent for request in tlc.asked(january)))
        deployment.kill("code")
        deployment.start("code")
        assert end_of_backfill(deployment.url, backfill) == "COMPLETED_SUCCESS", deployment.statuses()
        assert "FAILURE" in deployment.statuses(), "the run that was killed"
        storage = deployment.variables["TAXI_STORAGE_URL"]
        loaded = pipeline_in(tmp_path / "data", mirror, storage_url=storage)
        assert tables_of(loaded) == tables_of(alone)
        assert loaded.bytes_of_outputs() == alone.bytes_of_outputs()

        (link,) = _links(deployment.url, "manhattan_map")
        assert requests.get(link, timeout=10).content == alone.files.read("outputs/manhattan_map.png")

        before = deployment.statuses()
        deployment.kill(*list(deployment.running))
        for name in ("code", "webserver"):
            deployment.start(name)
        deployment.wait_until_up()
        assert deployment.statuses() == before, "the history survives a restart of everything"
        written = {path.name for path in (tmp_path / "dagster").iterdir()}
        assert written == {"dagster.yaml", "workspace.yaml", "storage"}, "the rest of the image can be read-only"
        logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
        for secret in (os.environ["AWS_SECRET_ACCESS_KEY"], database.partition("@")[0].rpartition(":")[2]):
            assert secret not in logs


def _links(url: str, asset: str) -> list[str]:
    """The links that the asset's page shows."""
    query = """
    query Links($asset: AssetKeyInput!) {
      assetOrError(assetKey: $asset) {
        ... on Asset { assetMaterializations(limit: 1) { metadataEntries { label ... on UrlMetadataEntry { url } } } }
      }
    }
    """
    (made,) = ask(url, query, asset={"path": [asset]})["assetOrError"]["assetMaterializations"]
    return [entry["url"] for entry in made["metadataEntries"] if entry["label"] == "open"]
