"""The decision which months a refresh runs: every case of loaded and published months, without Dagster."""

from collections.abc import Mapping
from datetime import date

import pytest

from taxi_pipeline.refresh_plan import Chunk, Loaded, RefreshPlan, chunks_to_load, months_to_compare
from taxi_pipeline.tlc.months import Days, next_month

PARTITIONS = Days(date(2019, 1, 1), date(2025, 3, 10))


def month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def months(first: str, last: str) -> list[date]:
    """All months from one to another."""
    found = [month(first)]
    while found[-1] < month(last):
        found.append(next_month(found[-1]))
    return found


def loaded(first: str, last: str, **changes: Loaded) -> dict[date, Loaded]:
    """Whole months of version `a`; keywords such as `y2024_05` change one."""
    state = {m: Loaded("a", whole=True) for m in months(first, last)}
    return state | {month(name[1:].replace("_", "-")): value for name, value in changes.items()}


def published(first: str, last: str, **changes: str) -> dict[date, str]:
    state = dict.fromkeys(months(first, last), "a")
    return state | {month(name[1:].replace("_", "-")): value for name, value in changes.items()}


def run(
    loaded_months: Mapping[date, Loaded],
    published_months: Mapping[date, str],
    partitions: Days = PARTITIONS,
    under_way: tuple[str, ...] = (),
) -> list[str]:
    """The decision, with what the shell asks for in between."""
    newest = max(published_months, default=None)
    asked = months_to_compare(loaded_months, newest)
    answers = {m: published_months[m] for m in asked if m in published_months}
    plan = RefreshPlan(newest, chunks_to_load(loaded_months, answers, partitions), "")
    return [str(chunk.days) for chunk in RefreshPlan.from_json(plan.as_json()).without(under_way)]


def test_an_empty_warehouse_gets_the_newest_month_alone() -> None:
    assert run({}, published("2023-01", "2024-12")) == ["2024-12-01 to 2024-12-31"]


def test_nothing_is_published() -> None:
    assert run({}, {}) == []
    assert run(loaded("2024-01", "2024-12"), {}) == []


def test_nothing_is_new() -> None:
    assert run(loaded("2023-01", "2024-12"), published("2023-01", "2024-12")) == []


def test_it_moves_forward_over_the_end_of_a_year() -> None:
    assert run(loaded("2024-10", "2024-11"), published("2023-01", "2025-01")) == [
        "2024-12-01 to 2024-12-31",
        "2025-01-01 to 2025-01-31",
    ]


@pytest.mark.parametrize(("year", "days"), [(2023, "2023-02-01 to 2023-02-28"), (2024, "2024-02-01 to 2024-02-29")])
def test_february_has_the_days_that_it_has(year: int, days: str) -> None:
    assert run(loaded(f"{year}-01", f"{year}-01"), published("2023-01", f"{year}-02")) == [days]


@pytest.mark.parametrize("text", ["2024-03", "2024-11"])
def test_months_in_which_clocks_change_are_whole(text: str) -> None:
    before = f"2024-{int(text[-2:]) - 1:02}"
    ((days),) = run(loaded(before, before), published("2024-01", text))
    assert days == f"{text}-01 to {text}-{31 if text.endswith('03') else 30}"


def test_gaps_in_the_past_are_left_to_backfills() -> None:
    state = {m: v for m, v in loaded("2024-01", "2024-12").items() if m != month("2024-05")}
    assert run(state, published("2023-01", "2024-12")) == []


def test_the_rest_of_the_newest_month_is_loaded() -> None:
    state = loaded("2024-01", "2024-12", y2024_12=Loaded("a", whole=False))
    assert run(state, published("2023-01", "2024-12")) == ["2024-12-01 to 2024-12-31"]
    state = loaded("2024-01", "2024-12", y2024_11=Loaded("a", whole=False))
    assert run(state, published("2023-01", "2024-12")) == [], "an older one is a gap"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-12", ["2024-12-01 to 2024-12-31"]),
        ("2024-07", ["2024-07-01 to 2024-07-31"]),
        ("2024-06", []),  # the seventh last
    ],
)
def test_of_the_last_six_loaded_months_those_published_again_are_loaded(text: str, expected: list[str]) -> None:
    changes = {f"y{text.replace('-', '_')}": "b"}
    assert run(loaded("2024-01", "2024-12"), published("2023-01", "2024-12", **changes)) == expected


def test_the_last_six_are_those_loaded_not_those_of_the_calendar() -> None:
    state = loaded("2019-01", "2019-03") | loaded("2024-10", "2024-12")
    answers = published("2019-01", "2024-12", y2019_01="b")
    assert run(state, answers) == ["2019-01-01 to 2019-01-31"]


def test_a_version_that_is_not_known_is_loaded_again() -> None:
    state = loaded("2024-01", "2024-12", y2024_11=Loaded(None, whole=True))
    assert run(state, published("2023-01", "2024-12")) == ["2024-11-01 to 2024-11-30"]


def test_new_and_republished_months_come_oldest_first() -> None:
    answers = published("2023-01", "2025-01", y2024_09="b")
    assert run(loaded("2024-08", "2024-11"), answers) == [
        "2024-09-01 to 2024-09-30",
        "2024-12-01 to 2024-12-31",
        "2025-01-01 to 2025-01-31",
    ]


def test_a_month_that_one_fleet_lacks_waits() -> None:
    answers = published("2023-01", "2025-01")
    del answers[month("2024-12")]
    assert run(loaded("2024-08", "2024-11"), answers) == ["2025-01-01 to 2025-01-31"]


def test_a_month_that_is_gone_from_the_server_stays_as_it_is() -> None:
    answers = published("2023-01", "2024-12")
    del answers[month("2024-11")]
    assert run(loaded("2024-08", "2024-12"), answers) == []


def test_what_runs_or_waits_is_not_launched_again() -> None:
    answers = published("2023-01", "2025-01")
    state = loaded("2024-08", "2024-11")
    assert run(state, answers, under_way=("2024-12 a",)) == ["2025-01-01 to 2025-01-31"]
    assert run(state, answers, under_way=("2024-12 b",)) == ["2024-12-01 to 2024-12-31", "2025-01-01 to 2025-01-31"]


def test_only_days_that_are_partitions_are_run() -> None:
    assert run({}, published("2025-01", "2025-03")) == ["2025-03-01 to 2025-03-10"], "the last partition"
    late_start = Days(date(2024, 12, 15), date(2025, 3, 10))
    assert run({}, published("2024-01", "2024-12"), late_start) == ["2024-12-15 to 2024-12-31"]
    assert run(loaded("2024-10", "2024-10"), published("2024-01", "2024-11"), late_start) == [], "before the first one"


def test_a_key_names_month_and_version() -> None:
    assert Chunk(Days(date(2024, 2, 1), date(2024, 2, 29)), "abc").key == "2024-02 abc"
