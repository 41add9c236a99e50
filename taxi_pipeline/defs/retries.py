"""Dagster's retries of steps that ask servers: which failures are worth one, and how many there are.

A request has retries of its own, of seconds and minutes (`tlc.http_transfer.Patience`). A step is retried when they
ended without an answer: its new attempt requests conditionally what has arrived, and the run's page shows it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.tlc.http_transfer import NoAnswerError

RETRIES = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""Retries of a server that does not answer. What is not there, or is something else, is not asked for again."""


class StepFailure(dg.Failure, TaxiPipelineError):  # noqa: N818 - named as Dagster's own
    """A step failed; its `allow_retries` says whether another attempt may succeed."""


def is_worth_a_retry(error: Exception) -> bool:
    """True if the server did not answer, and may do so in seconds."""
    return isinstance(error, NoAnswerError) and error.may_pass


def is_retried(context: dg.AssetExecutionContext, error: Exception) -> bool:
    """True if the step is attempted again when it raises this error."""
    return is_worth_a_retry(error) and context.retry_number < RETRIES.max_retries


@contextmanager
def retrying_unanswered() -> Iterator[None]:
    """Leave a server that did not answer to the step's `RETRIES`; whatever else the block raises fails at once.

    Raises:
        StepFailure: the block raised what a retry does not change; with the same message.
        NoAnswerError: as the block raised it.
    """
    try:
        yield
    except dg.Failure:
        raise
    except Exception as error:
        if is_worth_a_retry(error):
            raise
        raise StepFailure(str(error) or repr(error), allow_retries=False) from error
