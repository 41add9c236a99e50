"""The root of all errors that the project raises for a user, and their tree.

Each error is defined in the module that raises it. Its message says what happened, with the value, and what to do. The
console prints it without a traceback and exits with 1. A test compares this tree with the classes.

TaxiPipelineError
  x BadRequestError
  x BadRequestedValueError
  x DeliveryError
    - DeliveryDelayedError
  x DeliveryUnknownError
  x EmptyWindowError
  x ExportError
    - ExportDiffersError
    - UnknownTypeError
  x FetchError
    - NoAnswerError
    - NotFoundError
  x FileInUseError
  x FleetsFailed
  x InstanceError
  x KeyFileError
  x LoadError
    - AuditError
    - ConflictError
    - DamagedFileError
    - LastFetchFailedError
    - MissingColumnsError
    - MissingFileError
    - MissingZonesError
    - MixedDataError
    - NoSuchVersionError
    - NoTripsYetError
    - UnusableFileError
      - UnlikelyFileError
  x ManifestError
  x MartsError
  x MonthsFailed
  x NoPdfError
  x NotLoadedError
  x PagesError
  x PortTakenError
  x ProjectError
  x QuestionRefusedError
  x RebuildError
  x RefusedFileError
  x SampleError
  x SettingsError
  x StepFailure
  x StorageError
  x TripsDifferError
  x UnknownSettingError
  x UnreportableMonthError
    - FlowsMissingError
  x WarehouseUnavailableError
    - NothingLoadedError
  x WrongColumnsError
"""


class TaxiPipelineError(Exception):
    """The root of all errors that the project raises for a user."""


class LoadError(TaxiPipelineError):
    """A fleet's month can't be loaded. The other fleets are loaded all the same."""
