"""Failures that say what to do: why a run failed, by fleet, for the console, the UI and the alert."""

from collections.abc import Mapping, Sequence

import dagster as dg

from taxi_pipeline.errors import TaxiPipelineError

FAILED_FLEETS = "failed_fleets"
"""Metadata of a failure: fleet → why its files could not be fetched or loaded."""


class FleetsFailed(dg.Failure, TaxiPipelineError):  # noqa: N818 - named as Dagster's own
    """The files of some fleets could not be fetched or loaded; those of the others are loaded.

    A retry of the whole range would not help: the cause is in the files.
    """

    def __init__(self, failed: Mapping[str, str], loaded: Sequence[str]) -> None:
        self.loaded = tuple(loaded)
        """Names of the fleets that are loaded."""
        reasons = "; ".join(f"{fleet}: {reason}" for fleet, reason in failed.items())
        super().__init__(
            description=f"{reasons}. Loaded nevertheless: {', '.join(loaded) or 'nothing'}",
            metadata={FAILED_FLEETS: dict(failed), "loaded_fleets": list(loaded)},
            allow_retries=False,
        )


def failed_fleets(event: dg.DagsterEvent) -> Mapping[str, str] | None:
    """Fleet → why it failed, for a step that failed with `FleetsFailed`; None for other events and other failures."""
    data = event.step_failure_data.user_failure_data if event.is_step_failure else None
    value = data.metadata.get(FAILED_FLEETS) if data else None
    return dict(value.value) if isinstance(value, dg.JsonMetadataValue) and isinstance(value.value, dict) else None


def message_of(event: dg.DagsterEvent) -> str:
    """The message of a failed step: the description of a failure, else the message of the exception."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    raised = error.cause or error if error else None  # Dagster wraps what the asset raised
    if raised is None:
        return "the cause is not known"
    # The message begins with the exception's class, as in a traceback.
    return (raised.message.partition(": ")[2] or raised.message).strip()
