"""What can become of a message that is not delivered: surely not, not yet, or nobody knows."""

from taxi_pipeline.errors import TaxiPipelineError


class DeliveryError(TaxiPipelineError):
    """A message was delivered to nobody, and to ask again would not help."""


class DeliveryDelayedError(DeliveryError):
    """A message was delivered to nobody: the server can't be reached, or asks to try later."""


class DeliveryUnknownError(TaxiPipelineError):
    """A message was being handed over when something ended it: nobody knows whether it was delivered."""
