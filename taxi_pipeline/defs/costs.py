"""The cost of a run, as numbers that the UI plots: `cost_seconds`, `cost_rows`, `cost_bytes_written`."""

import time


class Cost:
    """A counter of an asset's cost; it starts when it is made, at the begin of the asset.

    Args:
        partitions: number of partitions of the run. Each has an equal share, so that the sum over partitions is the
            cost of the runs.
    """

    def __init__(self, partitions: int = 1) -> None:
        self._partitions = partitions
        self._started = time.perf_counter()

    def so_far(self, *, rows: int | None = None, bytes_written: int | None = None) -> dict[str, float]:
        """Metadata of a materialization: the seconds until now, and what was written in them.

        Args:
            rows: number of rows that the run wrote.
            bytes_written: number of bytes that the run wrote.
        """
        spent = {"seconds": time.perf_counter() - self._started, "rows": rows, "bytes_written": bytes_written}
        return {f"cost_{name}": value / self._partitions for name, value in spent.items() if value is not None}
