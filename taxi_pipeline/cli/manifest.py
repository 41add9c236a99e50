"""The command `manifest`: what there is, with its SHA-256, for `verify` to compare with later."""

from pathlib import Path

import click

from taxi_pipeline.cli.options import read_settings
from taxi_pipeline.cli.terminal import as_typed, console
from taxi_pipeline.opening import files_of


@click.command()
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PEM file of an ed25519 private key that signs the manifest.  [default: no signature]",
)
def manifest(key: Path | None) -> None:
    """Write the manifest: inputs and outputs with their SHA-256, the code's version, and the settings that matter.

    It lists every file in raw/, datasets/ and outputs/, and reads each of them once. It is written as manifest.json
    beside these folders, the signature as manifest.json.sig. Write it when no run is going on: a file that is written
    later is one that `taxi-pipeline verify` finds.
    """
    from taxi_pipeline.proof.manifest import MANIFEST_FILE, manifest_of
    from taxi_pipeline.proof.signatures import SUFFIX, sign

    settings = read_settings()
    files = files_of(settings)
    if key:
        sign(b"", key)  # a key that is none is no reason to have read all files first
    made = manifest_of(files, settings.of_outputs)
    content = made.text().encode()
    files.delete(f"{MANIFEST_FILE}{SUFFIX}")  # that of an older manifest
    stored = files.write(MANIFEST_FILE, content)
    if key:
        files.write(f"{MANIFEST_FILE}{SUFFIX}", sign(content, key))
    num_inputs = sum(file.is_input for file in made.files)
    console.print(
        f"{as_typed(stored.uri)}: {num_inputs:,} inputs and {len(made.files) - num_inputs:,} outputs, "
        f"{sum(file.size_bytes for file in made.files):,} bytes; {'signed' if key else 'not signed'}",
        soft_wrap=True,
    )
    console.print(f"SHA-256 of the manifest: {stored.sha256}", soft_wrap=True)
