"""The command `verify`: whether files are what a manifest says, and what the published files give."""

import re
from collections import Counter
from datetime import date
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taxi_pipeline.cli.options import read_settings
from taxi_pipeline.cli.terminal import as_typed, console
from taxi_pipeline.opening import files_of
from taxi_pipeline.settings import Settings

if TYPE_CHECKING:
    from taxi_pipeline.proof.manifest import Manifest
    from taxi_pipeline.proof.rebuilding import Rebuilt
    from taxi_pipeline.storage import Storage

_FLEET, _DATE = re.compile(r"fleet=\w+"), re.compile(r"\d{4}-\d\d(-\d\d)?")
"""What differs between the names of files of one kind."""


class _DayOrMonth(click.ParamType):
    """A day, 2025-01-07, or a month, 2025-01."""

    name = "yyyy-mm[-dd]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[date, bool]:
        """The day, or the first day of the month; and whether it is a month."""
        text = str(value)
        try:
            if not re.fullmatch(r"\d{4}-\d\d(-\d\d)?", text, re.ASCII):
                raise ValueError(text)
            is_month = len(text) == len("2025-01")
            return date.fromisoformat(f"{text}-01" if is_month else text), is_month
        except ValueError:
            self.fail(f"{text[:40]!r} is no day such as 2025-01-07, and no month such as 2025-01", param, ctx)


@click.command()
@click.argument("manifest", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PEM file of the ed25519 public key of whoever signed the manifest.",
)
@click.option(
    "--rebuild",
    type=_DayOrMonth(),
    metavar="MONTH|DAY",
    help="Also make what depends on this month or day alone again from the files in raw/, and compare.",
)
def verify(manifest: Path | None, key: Path | None, rebuild: tuple[date, bool] | None) -> None:
    """Prove that files are what MANIFEST says: by default manifest.json in the storage, which `manifest` writes.

    All bytes of each file in raw/, datasets/ and outputs/ are read. Each file that was changed, is missing or was added
    is named in a line of its own. With --key the manifest's signature is checked, which lies beside it with .sig at
    its end; without it, whoever can change files can change the manifest, too.

    With --rebuild outputs are made again in a temporary folder, and compared byte for byte. What is not proved is
    listed. Exits with 1 when anything is not as it should be.
    """
    from taxi_pipeline.proof.comparison import differences_from, untrue_sums
    from taxi_pipeline.proof.manifest import NOT_COVERED, code_at_hand, read_manifest, shown

    settings = read_settings()
    files = files_of(settings)
    place, content, signature = _given(manifest, files)
    found = read_manifest(content, place)
    num_findings = _check_signature(place, content, signature, key)
    for finding in chain(differences_from(found, files), untrue_sums(found, files)):
        console.print(f"{shown(finding.name)} {finding.what}", style="red", soft_wrap=True)
        num_findings += 1
    num_inputs = sum(file.is_input for file in found.files)
    console.print(
        f"Compared with {place}: {num_inputs:,} inputs and {len(found.files) - num_inputs:,} outputs, "
        f"{sum(file.size_bytes for file in found.files):,} bytes.",
        soft_wrap=True,
    )
    rebuilt = _rebuild(found, files, settings, rebuild) if rebuild else None
    num_findings += len(rebuilt.findings) if rebuilt else 1 if rebuild else 0
    _say_what_is_not_proved(found, same_code=dict(found.code) == code_at_hand(), rebuilt=rebuilt is not None)
    console.print(f"  {NOT_COVERED}: not in a manifest", soft_wrap=True)
    if num_findings:
        raise click.ClickException(f"{num_findings:,} finding{'s' if num_findings > 1 else ''}; see above")
    console.print("All that was compared is as it should be.")


def _given(manifest: Path | None, files: "Storage") -> tuple[str, bytes, bytes | None]:
    """Where the manifest lies, its bytes, and those of its signature if there is one."""
    from taxi_pipeline.proof.manifest import MANIFEST_FILE, ManifestError
    from taxi_pipeline.proof.signatures import SUFFIX

    if manifest is None:
        if not files.exists(MANIFEST_FILE):
            raise ManifestError(
                f"{as_typed(files.uri(MANIFEST_FILE))} does not exist: write it by taxi-pipeline manifest"
            )
        name = f"{MANIFEST_FILE}{SUFFIX}"
        signature = files.read(name) if files.exists(name) else None
        return as_typed(files.uri(MANIFEST_FILE)), files.read(MANIFEST_FILE), signature
    beside = manifest.with_name(f"{manifest.name}{SUFFIX}")
    try:
        return str(manifest), manifest.read_bytes(), beside.read_bytes() if beside.is_file() else None
    except OSError as error:
        raise ManifestError(f"{manifest} can't be read: {error.strerror}") from error


def _check_signature(place: str, content: bytes, signature: bytes | None, key: Path | None) -> int:
    """Say what the signature proves; gives the number of findings."""
    from taxi_pipeline.proof.signatures import is_signed

    if key is None:
        there = "there is one" if signature is not None else "there is none"
        console.print(f"Signature: not checked, since no --key was given ({there}).", soft_wrap=True)
        return 0
    if signature is not None and is_signed(content, signature, key):
        console.print(f"Signature: good, by the key {key}.", soft_wrap=True)
        return 0
    why = "there is none beside it" if signature is None else "the manifest was changed, or another key signed it"
    console.print(f"{place} is not signed by the key {key}: {why}", style="red", soft_wrap=True)
    return 1


def _rebuild(manifest: "Manifest", files: "Storage", settings: Settings, which: tuple[date, bool]) -> "Rebuilt | None":
    """Make outputs again and say what came of it; None when they could not be made."""
    from taxi_pipeline.errors import TaxiPipelineError
    from taxi_pipeline.proof.manifest import shown
    from taxi_pipeline.proof.rebuilding import rebuild_day, rebuild_month
    from taxi_pipeline.storage.scratch import Scratch

    day, is_month = which
    scratch = Scratch(settings.scratch_dir)
    folder = scratch.new_path("rebuilt")
    try:
        rebuilt = (rebuild_month if is_month else rebuild_day)(manifest, files, day, folder)
    except TaxiPipelineError as error:
        console.print(f"{day:%Y-%m} was not made again: {error}", style="red", soft_wrap=True)
        return None
    for finding in rebuilt.findings:
        console.print(f"{shown(finding.name)} {finding.what}", style="red", soft_wrap=True)
    _print_rebuilt(rebuilt)
    return rebuilt


def _print_rebuilt(rebuilt: "Rebuilt") -> None:
    from taxi_pipeline.proof.manifest import shown

    console.print(f"Made again from {', '.join(file.name for file in rebuilt.made_from)}:", soft_wrap=True)
    for name in rebuilt.equal:
        console.print(f"  {shown(name)}: equal", soft_wrap=True)
    console.print("Not made again:" if rebuilt.not_rebuilt else "", soft_wrap=True)
    for reason, names in rebuilt.not_rebuilt.items():
        kinds = Counter(shown(_DATE.sub("*", _FLEET.sub("fleet=*", name))) for name in names)
        of_kinds = ", ".join(kind if number == 1 else f"{kind} ({number:,})" for kind, number in kinds.items())
        console.print(f"  {of_kinds}: {reason}", soft_wrap=True)


def _say_what_is_not_proved(manifest: "Manifest", *, same_code: bool, rebuilt: bool) -> None:
    from taxi_pipeline.proof.manifest import shown

    console.print("Not proved:")
    imported = [file for file in manifest.files if file.imported]
    for file in imported:
        console.print(f"  {shown(file.name)}: imported from {shown(file.origin)}, and not fetched", soft_wrap=True)
    console.print(
        "  that the files in raw/ are those that the TLC publishes: the manifest names where each came from, and its "
        "SHA-256",
        soft_wrap=True,
    )
    if not rebuilt:
        console.print("  that the outputs are what the files in raw/ give: --rebuild MONTH does", soft_wrap=True)
    if not same_code:
        console.print(
            f"  that other code gives the same: the manifest was written by taxi-pipeline "
            f"{shown(manifest.code.get('taxi-pipeline', '?'))}, whose code or libraries differ from those here",
            soft_wrap=True,
        )
