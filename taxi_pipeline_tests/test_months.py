"""Days, weeks and months."""

from datetime import date

import pytest

from taxi_pipeline.tlc.months import Days, next_month, previous_month, spans_of


@pytest.mark.parametrize("num_parts", [1, 2, 3, 4, 31, 40])
def test_parts_are_the_same_days(num_parts: int) -> None:
    days = Days(date(2023, 3, 1), date(2023, 3, 31))
    parts = days.in_parts(num_parts)
    assert [day for part in parts for day in part] == list(days)
    assert len(parts) == min(num_parts, 31)
    lengths = [len(list(part)) for part in parts]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("month", "following"),
    [(date(2023, 1, 1), date(2023, 2, 1)), (date(2024, 2, 1), date(2024, 3, 1)), (date(2023, 12, 1), date(2024, 1, 1))],
)
def test_months_follow_each_other(month: date, following: date) -> None:
    assert next_month(month) == following
    for day in Days.of_month(month):
        assert (next_month(day), previous_month(day), Days.of_month(day).num_days) == (
            following,
            previous_month(month),
            Days.of_month(month).last.day,
        ), "any day stands for its month"
    assert previous_month(following) == month


def test_days_are_cut_where_months_end() -> None:
    days = Days(date(2023, 12, 30), date(2024, 3, 1))
    assert days.by_month() == [
        Days(date(2023, 12, 30), date(2023, 12, 31)),
        Days(date(2024, 1, 1), date(2024, 1, 31)),
        Days(date(2024, 2, 1), date(2024, 2, 29)),
        Days(date(2024, 3, 1), date(2024, 3, 1)),
    ]
    assert [day for part in days.by_month() for day in part] == list(days)


@pytest.mark.parametrize("day", [date(2023, 3, 5), date(2023, 3, 8), date(2023, 3, 11)])
def test_weeks_run_from_sunday_to_saturday(day: date) -> None:
    assert Days(day, day).in_weeks() == Days(date(2023, 3, 5), date(2023, 3, 11))


def test_text() -> None:
    assert str(Days(date(2023, 3, 5), date(2023, 3, 5))) == "2023-03-05"
    assert str(Days(date(2023, 3, 5), date(2023, 3, 6))) == "2023-03-05 to 2023-03-06"


def test_days_become_spans() -> None:
    days = [date(2023, 1, day) for day in (1, 2, 3, 5, 30, 31)]
    assert list(map(str, spans_of([*days, date(2023, 2, 1)]))) == [
        "2023-01-01 to 2023-01-03",
        "2023-01-05",
        "2023-01-30 to 2023-02-01",
    ]
    assert spans_of([]) == []
