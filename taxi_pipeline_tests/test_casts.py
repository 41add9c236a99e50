"""The SQL that types published values: how much of it there is. What it gives is in `test_ingest` and `test_fleets`."""

import pytest

from taxi_pipeline.tlc.fleets import FLEETS, plain_name
from taxi_pipeline.warehouse.typing.casts import PublishedColumn, typed_sql
from taxi_pipeline_tests.era_files import FHVHV_2019, YELLOW_2009, YELLOW_2023


@pytest.mark.parametrize("type_", ["VARCHAR", "DOUBLE", "BIGINT", "TIMESTAMP"])
@pytest.mark.parametrize(("fleet", "era"), [("yellow", YELLOW_2009), ("yellow", YELLOW_2023), ("fhvhv", FHVHV_2019)])
def test_a_value_is_read_for_each_use_and_not_for_each_branch(fleet: str, era: str, type_: str) -> None:
    """Nested in each other, the expressions of a time in text read it 45 times; a million rows of 2009 took a minute.

    A fare is read for itself and for the total, each time as it was published and as a number.
    """
    names = [column.partition(":")[0] for column in era.split()]
    published = {plain_name(name): PublishedColumn(name, type_) for name in names}
    sources = FLEETS[fleet].sources_in(names)
    sql = typed_sql(sources, published)
    reads = {column.name: sql.count(column.sql) for column in published.values()}
    assert max(reads.values()) <= 6, reads
