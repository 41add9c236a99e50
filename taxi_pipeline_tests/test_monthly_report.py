"""The monthly report: each number on the page is what a plain query over the trips says."""

import csv
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from taxi_pipeline.defs.assets import (
    monthly_report,
    taxi_trips_file,
    taxi_zones,
    taxi_zones_file,
)
from taxi_pipeline.differences import signed
from taxi_pipeline.outputs.monthly_report.drawings import history_of, round_ticks
from taxi_pipeline.outputs.monthly_report.figures import figures_of
from taxi_pipeline.outputs.monthly_report.measures import NO_DATA, cards_of, finding_of, left_out_of
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.histograms import MEASURES, NO_VALUE, median_bin
from taxi_pipeline.warehouse.rollups import count_again
from taxi_pipeline_tests.browsers import browser_or_skip
from taxi_pipeline_tests.pipelines import Pipeline, error_of, materializations_of, pipeline_in

MakePipeline = Callable[..., Pipeline]
FLEETS = ("yellow", "green")
MONTHS = {"2022-02": 28, "2023-01": 31, "2023-02": 28}
"""Loaded months and their days: one, the one before, and the one of a year before."""


class Page:
    """A report, as the elements that hold its numbers."""

    def __init__(self, pipeline: Pipeline, month: str) -> None:
        self.path = pipeline.folder / "outputs" / "reports" / f"{month}.html"
        self.root = ElementTree.fromstring(self.path.read_text())  # noqa: S314 - our own
        self.text = " ".join(" ".join(self.root.itertext()).split())

    def of(self, attribute: str) -> dict[str, str]:
        """Value of the attribute → text of the element."""
        return {
            element.attrib[attribute]: "".join(element.itertext()).strip()
            for element in self.root.iter()
            if attribute in element.attrib
        }


@pytest.fixture(scope="module")
def three_months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror of both fleets over three months."""
    folder = tmp_path_factory.mktemp("three_months")
    for month, num_days in MONTHS.items():
        days = Days(date.fromisoformat(f"{month}-01"), date.fromisoformat(f"{month}-{num_days}"))
        write_mirror(folder, days, fleet="yellow", trips_per_day=150)
        write_mirror(folder, days, fleet="green", trips_per_day=60)
    return folder


@pytest.fixture(scope="module")
def loaded(three_months: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A pipeline in which they are loaded, with the last one's report. Read it, never write to it."""
    pipeline = pipeline_in(tmp_path_factory.mktemp("loaded"), three_months, FLEETS)
    for month, num_days in MONTHS.items():
        pipeline.load(f"{month}-01", f"{month}-{num_days}")
    assert pipeline.report(monthly_report, "2023-02-01").success
    return pipeline


@pytest.fixture(scope="module")
def page(loaded: Pipeline) -> Page:
    return Page(loaded, "2023-02")


@pytest.fixture
def copy(loaded: Pipeline, three_months: Path, tmp_path: Path) -> Pipeline:
    """A copy of it that a test may spoil."""
    return pipeline_in(Path(shutil.copytree(loaded.folder, tmp_path / "data")), three_months, FLEETS)


PLAIN_SQL = """
SELECT count(*) AS num_trips,
    '$' || format('{{:,.0f}}', CAST(sum(total_amount) AS DOUBLE)) AS revenue,
    '$' || format('{{:,.2f}}', avg(fare_amount) FILTER (plausible AND NOT void)) AS mean_fare,
    format('{{:,.2f}} miles', avg(trip_distance) FILTER (plausible AND NOT void AND trip_distance > 0))
        AS mean_distance,
    format('{{:,.2f}} minutes',
        avg(date_diff('second', pickup_datetime, dropoff_datetime)) FILTER (plausible AND NOT void) / 60)
        AS mean_minutes,
    format('{{:.2f}}%', 100 * avg(CASE WHEN pickup_zone_id IN (1, 132, 138) THEN 1 ELSE 0 END)
        FILTER (pickup_zone_id <= 263)) AS airport_share,
    format('{{:.2f}}%', 100 * avg(CASE WHEN borough = 'Manhattan' THEN 1 ELSE 0 END) FILTER (pickup_zone_id <= 263))
        AS manhattan_share,
    count(*) FILTER (pickup_zone_id > 263) AS num_unplaced,
    '$' || format('{{:,.2f}}', avg(coalesce(tip_amount, 0)) FILTER (payment_type = 1)) AS tips_per_card_trip,
    count(*) FILTER (too_long) AS num_too_long,
    count(*) FILTER (NOT too_long AND dropoff_datetime < pickup_datetime) AS num_backwards,
    count(*) FILTER (plausible AND NOT void AND trip_distance = 0) AS num_no_miles,
    count(*) FILTER (void) AS num_void_rows
FROM (
    SELECT *, NOT too_long AND dropoff_datetime >= pickup_datetime AS plausible
    FROM (
        SELECT *, trip_distance > 100 OR date_diff('second', pickup_datetime, dropoff_datetime) > 6 * 3600 AS too_long,
            -- Each void of the sample is one of a kind, so the rank of a row among its kind need not be known.
            count(*) FILTER (total_amount < 0) OVER kind = 1 AND count(*) FILTER (total_amount > 0) OVER kind = 1
                AS void
        FROM trips JOIN zones ON zone_id = pickup_zone_id
        WHERE strftime(pickup_datetime, '%Y-%m') = '{month}' AND fleet IN ({fleets})
        WINDOW kind AS (PARTITION BY fleet, pickup_datetime, dropoff_datetime, pickup_zone_id, dropoff_zone_id,
            trip_distance, abs(total_amount))
    )
)
"""

OF_THE_PAGE = {"num_too_long", "num_backwards", "num_no_miles", "num_void_rows"}
"""Numbers of what the means leave out, which are not compared."""


def plain(pipeline: Pipeline, month: str, *fleets: str) -> dict[str, str]:
    """The numbers of a month as the page writes them, asked of the trips alone."""
    named = ", ".join(f"'{fleet}'" for fleet in fleets or FLEETS)
    with pipeline.warehouse.read() as session:
        (row,) = session.rows(PLAIN_SQL.format(month=month, fleets=named))
        where = f"strftime(pickup_datetime, '%Y-%m') = '{month}' AND fleet IN ({named})"
        per_day = session.rows(
            f"SELECT CAST(pickup_datetime AS DATE) AS day, count(*) AS trips FROM trips WHERE {where} GROUP BY day "
            "ORDER BY trips DESC, day"
        )
        busiest = [(day, trips) for day, trips in per_day if trips == per_day[0][1]]
        hour, hour_trips = session.rows(
            f"SELECT hour(pickup_datetime) AS hour, count(*) AS trips FROM trips WHERE {where} GROUP BY hour "
            "ORDER BY trips DESC, hour LIMIT 1"
        )[0]
    names = re.findall(r"AS (\w+)[,\n]", PLAIN_SQL.split("FROM (", maxsplit=1)[0].replace("AS DOUBLE", ""))
    values = [f"{value:,}" if isinstance(value, int) else value for value in row]
    numbers = dict(zip(names, values, strict=True))
    return {
        **numbers,
        "trips_per_day": f"{row[0] / MONTHS[month]:,.0f}",
        "revenue_per_day": f"${float(str(numbers['revenue']).strip('$').replace(',', '')) / MONTHS[month]:,.0f}",
        "busiest_day": " and ".join(f"{day:%A}, {day.day} {day:%B}" for day, _ in busiest)
        + f": {busiest[0][1]:,} trips",
        "busiest_hour": f"{hour:02}:00 to {hour + 1:02}:00: {hour_trips / MONTHS[month]:,.0f} trips a day",
    }


def test_the_numbers_of_the_month_and_of_the_months_it_is_compared_with(loaded: Pipeline, page: Page) -> None:
    found = page.of("data-figure")
    now, before, year = (plain(loaded, month) for month in ("2023-02", "2023-01", "2022-02"))
    assert {key: found[key] for key in now} == now
    assert int(now["num_too_long"]) > 0, "the sample has such trips"
    compared = set(now) - OF_THE_PAGE
    assert {key: found[f"previous.{key}"] for key in compared} == {key: before[key] for key in compared}
    assert {key: found[f"year_before.{key}"] for key in compared} == {key: year[key] for key in compared}


def change_of_like_days(pipeline: Pipeline, column: str, month: str, other: str) -> tuple[float, float]:
    """The change of a sum over days, weekday for weekday, and two standard errors of it, by DuckDB's own variances."""
    ((change, usual),) = pipeline.rows(
        f"""
        WITH days AS (
            SELECT strftime(pickup_date, '%Y-%m') AS month, dayofweek(pickup_date) AS weekday, sum({column}) AS number
            FROM zone_hourly_trips WHERE strftime(pickup_date, '%Y-%m') IN ('{month}', '{other}') GROUP BY pickup_date
        ), weekdays AS (
            SELECT month, weekday, count(*) AS n, avg(number) AS mean, var_pop(number) * count(*) AS squares
            FROM days GROUP BY month, weekday
        ), variances AS (
            SELECT month, sum(squares) / (sum(n) - 7) AS variance, sum(n * mean) AS total, sum(n) AS num_days
            FROM weekdays GROUP BY month
        ), expected AS (
            SELECT sum(now.n * old.mean) AS total, sum(now.n * now.n / old.n) AS weight
            FROM weekdays AS now JOIN weekdays AS old ON old.weekday = now.weekday
            WHERE now.month = '{month}' AND old.month = '{other}'
        )
        SELECT now.total / expected.total - 1,
            2 * sqrt(now.num_days * now.variance + expected.weight * old.variance) / expected.total
        FROM variances AS now, variances AS old, expected WHERE now.month = '{month}' AND old.month = '{other}'
        """
    )
    return change, usual


OTHERS = {"previous": "2023-01", "year_before": "2022-02"}


def test_changes_against_the_months_it_is_compared_with(loaded: Pipeline, page: Page) -> None:
    found = page.of("data-figure")

    def value(words: str) -> float:
        number = re.sub(r"[^0-9.]", "", words)
        return float(number)

    for other, month in OTHERS.items():
        now, then = plain(loaded, "2023-02"), plain(loaded, month)
        for key in ("mean_fare", "mean_distance", "mean_minutes", "tips_per_card_trip"):
            change = 100 * (value(now[key]) / value(then[key]) - 1)
            assert float(found[f"{other}.{key}.change"].rstrip("%")) == pytest.approx(change, abs=0.5), key
        for key, column in (("trips_per_day", "num_trips"), ("revenue_per_day", "total_amount")):
            share, usual = change_of_like_days(loaded, column, "2023-02", month)
            assert found[f"{other}.{key}.change"] == signed(share, ".1%"), key
            where = "beyond" if abs(share) > usual else "within"
            assert found[f"{other}.{key}.usual"] == f"{where} the usual ±{usual:.1%}"
        points = value(now["airport_share"]) - value(then["airport_share"])
        assert float(found[f"{other}.airport_share.change"].split()[0]) == pytest.approx(points, abs=0.011)
        for key in ("busiest_day", "num_trips", "revenue", "num_unplaced"):
            assert f"{other}.{key}.change" not in found, "months differ in length"


def test_the_finding_is_made_of_the_numbers(loaded: Pipeline, page: Page) -> None:
    now = plain(loaded, "2023-02")
    trips = int(now["num_trips"].replace(",", "")) / 28
    words = []
    for other in OTHERS.values():
        share, usual = change_of_like_days(loaded, "num_trips", "2023-02", other)
        month = f"{date.fromisoformat(f'{other}-01'):%B %Y}"
        words.append(
            f"{abs(share):.1%} {'more' if share > 0 else 'fewer'} than in {month}"
            if abs(share) > usual
            else f"about as many as in {month} ({signed(share, '.1%')}, where ±{usual:.1%} is usual)"
        )
    finding = next(element for element in page.root.iter() if element.attrib.get("id") == "finding").text or ""
    assert finding.startswith(
        f"February 2023 had {trips:,.0f} trips a day. Weekday for weekday, that is {words[0]} and {words[1]}. "
        f"The busiest {'days were' if ' and ' in now['busiest_day'] else 'day was'} "
        f"{now['busiest_day'].split(':')[0]}, with "
    )
    share = float(now["manhattan_share"].rstrip("%"))
    assert float(finding.split("in known zones, ")[1].split("%")[0]) == pytest.approx(share, abs=0.051)


@pytest.mark.parametrize(
    ("spec", "difference", "words"),
    [
        (".1%", -0.00006, "0.0%"),
        (".1%", 0.00006, "0.0%"),
        (".1%", 0, "0.0%"),
        (".1%", -0.0006, "-0.1%"),
        (".1%", 0.1, "+10.0%"),
        (".2f", Decimal("-0.004"), "0.00"),
        (".2f", Decimal("0.006"), "+0.01"),
        (",.0f", -1234.4, "-1,234"),
    ],
)
def test_a_difference_has_a_sign_unless_it_is_rounded_to_zero(
    spec: str, difference: float | Decimal, words: str
) -> None:
    assert signed(difference, spec) == words


def test_a_small_decrease_is_no_increase(loaded: Pipeline) -> None:
    """Regression: $2,685,518 after $2,685,685 was "+0.0%", and a hundredth less was "as many than in"."""
    figures = loaded.warehouse.query(figures_of, date(2023, 2, 1), FLEETS)
    now = {day: 10_000 + day.day % 3 for day in Days.of_month(date(2023, 2, 1))}
    then = {day: 10_001 + day.day % 3 for day in Days.of_month(date(2023, 1, 1))}
    totals = replace(figures.totals, trips_on=now, revenue_on=now)
    changed = replace(
        figures, totals=totals, previous=replace(totals, trips_on=then, revenue_on=then), year_before=totals
    )
    cards = {card["key"]: card for card in cards_of(changed)[0]}
    assert [other["change"] for other in cards["revenue_per_day"]["others"]] == ["0.0%", "0.0%"]
    assert cards["manhattan_share"]["others"][0]["change"] == "0.00 points"
    assert "about as many as in January 2023 (0.0%, where ±0.0% is usual) and about as many as" in finding_of(changed)


def test_days_with_as_many_trips_are_all_named(loaded: Pipeline) -> None:
    """Regression: the first of two busiest days was "the busiest day"."""
    figures = loaded.warehouse.query(figures_of, date(2023, 2, 1), FLEETS)
    trips_on = dict.fromkeys(Days.of_month(date(2023, 2, 1)), 5) | {date(2023, 2, 2): 9, date(2023, 2, 17): 9}
    totals = replace(figures.totals, trips_on=trips_on)
    changed = replace(figures, totals=totals)
    assert "The busiest days were Thursday, 2 February and Friday, 17 February, with 9 each." in finding_of(changed)
    cards = {card["key"]: card for card in cards_of(changed)[0]}
    assert cards["busiest_day"]["words"] == "Thursday, 2 February and Friday, 17 February: 9 trips"


def test_trips_of_a_vendor_with_wrong_times_are_named_where_the_mean_leaves_them_out(loaded: Pipeline) -> None:
    figures = loaded.warehouse.query(figures_of, date(2023, 2, 1), FLEETS)
    assert (figures.totals.num_wrong_times, figures.totals.num_wrong_fares) == (0, 0)
    assert left_out_of(figures.totals)["num_wrong_times"] == ""
    assert left_out_of(replace(figures.totals, num_wrong_times=1234))["num_wrong_times"] == "1,234"


def test_its_numbers_lie_beside_it_as_csv(loaded: Pipeline, page: Page) -> None:
    with page.path.with_suffix(".csv").open(newline="") as file:
        rows = {(row["section"], row["name"]): float(row["value"]) for row in csv.DictReader(file) if row["value"]}
    ((trips, revenue),) = loaded.rows(
        "SELECT count(*), CAST(sum(total_amount) AS DOUBLE) FROM trips WHERE pickup_date >= '2023-02-01'"
    )
    assert (rows["month", "num_trips"], rows["month", "revenue"]) == (trips, revenue)
    assert rows["month", "trips_per_day"] == trips / 28
    for section in ("day", "pickup zone", "from borough to borough", "company"):
        assert sum(value for (part, _), value in rows.items() if part == section) == trips, section
    assert {section for section, _ in rows} >= {"previous", "year_before", *FLEETS}
    charged = {name: value for (section, name), value in rows.items() if section == "charged, yellow"}
    total = charged.pop("total_amount")
    assert sum(charged.values()) == pytest.approx(total)


def test_what_a_trip_costs_part_by_part(loaded: Pipeline, page: Page) -> None:
    """Fees that vendor 1 has in two columns count once, and what the total has beyond its columns is the surcharge."""
    found = page.of("data-charge")
    for fleet in FLEETS:
        twice = "improvement_surcharge" if fleet == "green" else "0"
        ((trips, total, fare, mta_tax, tips, extra),) = loaded.rows(
            "SELECT count(*), sum(total_amount), sum(fare_amount), "
            f"sum(CASE WHEN vendor_id = 1 AND total_amount > 0 THEN mta_tax - {twice} ELSE mta_tax END), "
            "sum(tip_amount), sum(CASE WHEN vendor_id = 1 AND total_amount > 0 "
            "THEN extra - coalesce(congestion_surcharge, 0) ELSE extra END) "
            "FROM trips WHERE fleet = ? AND pickup_date >= '2023-02-01'",
            [fleet],
        )
        parts = {"fare_amount": fare, "mta_tax": mta_tax, "tip_amount": tips, "extra": extra}
        for key, amount in {**parts, "total": total}.items():
            assert found[f"{fleet}.{key}"] == f"${amount / trips:,.2f}", key
    assert found["green.airport_fee"] == "-"
    assert "green.sales_tax" not in found


def test_who_sent_the_taxis_is_shown_where_a_month_says_it(tmp_path: Path, page: Page) -> None:
    """Codes of no dictionary are named as such; trips that name nobody are a row of their own."""
    assert page.of("data-sender") == {}, "2023 does not say it"
    write_mirror(tmp_path / "mirror", Days(date(2026, 6, 1), date(2026, 6, 2)), fleet="yellow", trips_per_day=300)
    pipeline = pipeline_in(tmp_path / "data", tmp_path / "mirror", ["yellow"])
    pipeline.load("2026-06-01", "2026-06-02")
    pipeline.execute("UPDATE trips SET request_source = 'ZZ' WHERE pickup_zone_id = 161 AND request_source IS NOT NULL")
    assert pipeline.report(monthly_report, "2026-06-01").success
    made = Page(pipeline, "2026-06")
    expected = pipeline.rows(
        "SELECT coalesce(request_source, 'none'), count(*) AS n, sum(count(*)) OVER () FROM trips "
        "GROUP BY request_source ORDER BY n DESC, request_source"
    )
    found = made.of("data-sender")
    assert list(found) == [code for code, *_ in expected]
    for code, trips, total in expected:
        assert f"{code}{trips:,}{100 * trips / total:.1f}" in found[code], code
    assert found["none"].startswith("Nobody is named")
    assert found["HV0003"].startswith("Uber, by its licence number (inferred)")
    assert found["ZZ"].startswith("not known")


def test_companies_side_by_side(tmp_path: Path) -> None:
    """Uber and Lyft by name, the fleets beside them."""
    days = Days(date(2023, 1, 1), date(2023, 1, 2))
    for fleet in ("yellow", "fhvhv"):
        write_mirror(tmp_path / "mirror", days, fleet=fleet, trips_per_day=200)
    pipeline = pipeline_in(tmp_path / "data", tmp_path / "mirror", ["yellow", "fhvhv"])
    pipeline.load("2023-01-01", "2023-01-02")
    assert pipeline.report(monthly_report, "2023-01-01").success
    found = Page(pipeline, "2023-01").of("data-company")
    expected = pipeline.rows(
        "SELECT fleet, licensee, count(*) AS n FROM trips GROUP BY ALL ORDER BY n DESC, fleet, licensee"
    )
    total = sum(n for *_, n in expected)
    assert {"fhvhv Uber", "fhvhv Lyft", "yellow"} <= set(found)
    pay = pipeline.rows(
        "SELECT licensee, sum(driver_pay) / count(*), sum(driver_pay) / sum(trip_distance), "
        "60 * sum(driver_pay) / sum(trip_time) FROM trips WHERE driver_pay IS NOT NULL AND trip_time > 0 GROUP BY ALL"
    )
    assert Page(pipeline, "2023-01").of("data-driver-pay") == {
        name: f"{name}${trip:.2f}${mile:.2f}${minute:.2f}" for name, trip, mile, minute in pay
    }
    assert list(found.values()) == [
        f"{licensee or 'Yellow taxi'}{n / 2:,.0f}{n / total:.1%}" for _, licensee, n in expected
    ]


def test_reports_link_to_the_months_beside_them_in_any_order(copy: Pipeline) -> None:
    """The report of a month is made anew when that of the next appears, so that both link to each other."""

    def links(month: str) -> list[str]:
        return [element.attrib["href"] for element in Page(copy, month).root.iter() if element.tag.endswith("}a")]

    assert links("2023-02") == ["2023-02.csv"]
    assert copy.report(monthly_report, "2023-01-01").success
    assert links("2023-01") == ["2023-02.html", "2023-01.csv"]
    assert links("2023-02") == ["2023-01.html", "2023-02.csv"]
    copy.files.write("outputs/zone_explorer.html", "x")
    assert copy.report(monthly_report, "2023-01-01", "2023-02-01").success
    assert links("2023-02") == ["2023-01.html", "../zone_explorer.html", "2023-02.csv"]


def test_a_report_that_is_written_again_for_another_month_counts_as_made(copy: Pipeline) -> None:
    """Regression: what is made of a report did not follow when it was compared with a month that came later."""
    assert copy.report(monthly_report, "2023-02-01").success
    result = copy.report(monthly_report, "2023-01-01")
    made = {each.partition: each.metadata for each in materializations_of(result, "monthly_report")}
    assert set(made) == {"2023-01-01", "2023-02-01"}
    assert (
        made["2023-02-01"]["trips"].value
        == copy.rows("SELECT count(*) FROM trips WHERE month(pickup_date) = 2 AND year(pickup_date) = 2023")[0][0]
    )


def test_published_and_net_stand_side_by_side(copy: Pipeline) -> None:
    """Also in the CSV; of the card both what is recorded and the TLC's way. Means leave out both rows of voids."""
    copy.execute(
        "INSERT INTO trips SELECT * REPLACE (-total_amount AS total_amount, -fare_amount AS fare_amount) FROM trips "
        "WHERE pickup_date = '2023-02-07' AND total_amount > 0"
    )
    copy.execute("UPDATE trips SET payment_type = NULL WHERE pickup_date = '2023-02-08'")
    copy.execute(
        "UPDATE loaded_days SET num_trips = (SELECT count(*) FROM trips WHERE trips.fleet = loaded_days.fleet "
        "AND trips.pickup_date = loaded_days.pickup_date)"
    )
    copy.warehouse.change(count_again, Days.of_month(date(2023, 2, 1)), ["zone_hourly_trips", "borough_flows"])
    assert copy.report(monthly_report, "2023-02-01").success
    page = Page(copy, "2023-02")
    now = plain(copy, "2023-02")
    assert {key: page.of("data-figure")[key] for key in now} == now
    which = "pickup_date BETWEEN DATE '2023-02-01' AND DATE '2023-02-28'"
    sums = (
        "count(*), sum(passenger_count), sum(trip_distance), sum(trip_distance) FILTER (trip_distance <= 100) "
        f"FROM trips WHERE {which}"
    )
    (published,) = copy.rows(f"SELECT {sums}")
    (net,) = copy.rows(f"SELECT {sums} AND (pickup_date <> '2023-02-07' OR coalesce(total_amount, 0) = 0)")
    voids = [whole - part for whole, part in zip(published, net, strict=True)]
    assert voids[0] > 200
    assert page.of("data-volume") == {
        f"{kind}.{name}": f"{value:,.0f}"
        for kind, values in (("published", published), ("voids", voids), ("net", net))
        for name, value in zip(("num_trips", "num_passengers", "miles", "plausible_miles"), values, strict=True)
    }
    ((card, unknown),) = copy.rows(
        f"SELECT count(*) FILTER (payment_type = 1), count(*) FILTER (payment_type IS NULL) FROM trips WHERE {which}"
    )
    found = page.of("data-payment")
    assert unknown > 200
    for key, number in (("by_card", card), ("unknown", unknown), ("by_card_or_unknown", card + unknown)):
        assert (found[key], found[f"{key}.share"]) == (f"{number:,}", f"{number / published[0]:.2%}")
    with page.path.with_suffix(".csv").open(newline="") as file:
        rows = {(row["section"], row["name"]): row["value"] for row in csv.DictReader(file)}
    names = ("trips", "passengers", "miles", "miles of plausible trips")
    assert [Decimal(rows["net", name]) for name in names] == [Decimal(n) for n in net]
    assert (rows["payment", "num_by_card"], rows["payment", "num_unknown"]) == (str(card), str(unknown))


def test_fleets_side_by_side(loaded: Pipeline, page: Page) -> None:
    found = page.of("data-figure")
    for fleet in FLEETS:
        expected = plain(loaded, "2023-02", fleet)
        for key in set(expected) - OF_THE_PAGE:
            assert found[f"{fleet}.{key}"] == expected[key], (fleet, key)


def test_trips_per_day(loaded: Pipeline, page: Page) -> None:
    expected = {
        str(day): f"{day:%A}, {day.day} {day:%B}: {trips:,} trips"
        for day, trips in loaded.rows(
            "SELECT CAST(pickup_datetime AS DATE) AS day, count(*) FROM trips WHERE pickup_datetime >= '2023-02-01' "
            "AND pickup_datetime < '2023-03-01' GROUP BY day"
        )
    }
    assert page.of("data-day") == expected
    bars = [element for element in page.root.iter() if "data-day" in element.attrib]
    weekend = {bar.attrib["data-day"] for bar in bars if "weekend" in bar.attrib["class"]}
    assert weekend == {f"2023-02-{day:02}" for day in (4, 5, 11, 12, 18, 19, 25, 26)}
    heights = {bar.attrib["data-day"]: float(bar.attrib["height"]) for bar in bars}
    trips = {day: int(re.findall(r": ([\d,]+) trips", words)[0].replace(",", "")) for day, words in expected.items()}
    busiest, least = max(trips, key=trips.__getitem__), min(trips, key=trips.__getitem__)
    assert heights[busiest] / heights[least] == pytest.approx(trips[busiest] / trips[least], rel=0.01)


def test_trips_by_weekday_and_hour(loaded: Pipeline, page: Page) -> None:
    expected = {
        f"{weekday} {hour}": f"{trips / 4:,.0f}"  # in February 2023 each weekday comes four times
        for weekday, hour, trips in loaded.rows(
            "SELECT dayname(pickup_datetime), hour(pickup_datetime), count(*) FROM trips "
            "WHERE strftime(pickup_datetime, '%Y-%m') = '2023-02' GROUP BY ALL"
        )
    }
    found = page.of("data-hour")
    assert len(found) == 7 * 24
    assert {key: words for key, words in found.items() if words != "0"} == {
        key: words for key, words in expected.items() if words != "0"
    }
    assert next(iter(found)) == "Sunday 0"


def test_the_map_and_the_busiest_zones(loaded: Pipeline, page: Page) -> None:
    counts = loaded.rows(
        "SELECT zone_id, zone, borough, count(pickup_zone_id) FROM zones "
        "LEFT JOIN (SELECT * FROM trips WHERE strftime(pickup_datetime, '%Y-%m') = '2023-02') "
        "ON pickup_zone_id = zone_id GROUP BY ALL ORDER BY zone_id"
    )
    title = {"EWR": "Newark Airport", "Unknown": "Not known", "N/A": "Outside the city"}
    assert page.of("data-zone") == {
        str(zone_id): f"{zone}, {title.get(borough, borough)}: {trips:,} trips"
        for zone_id, zone, borough, trips in counts
        if zone_id <= 263
    }
    placed = [row for row in counts if row[0] <= 263]
    month_trips = sum(trips for *_, trips in placed)
    busiest = sorted(placed, key=lambda row: (-row[3], row[0]))[:10]
    assert page.of("data-busiest") == {
        str(zone_id): f"{rank}{zone}{title.get(borough, borough)}{trips:,}{trips / month_trips:.2%}"
        for rank, (zone_id, zone, borough, trips) in enumerate(busiest, start=1)
    }
    ranks = [element for element in page.root.iter() if element.attrib.get("class") == "rank"]
    assert {int("".join(rank.itertext())) for rank in ranks} == {rank for rank, _ in enumerate(busiest, start=1)}, (
        "the map names them by their rank, also on paper"
    )
    for borough in ("Manhattan", "Queens", "Staten Island", "Newark Airport"):
        assert borough in page.text
    shades = {
        element.attrib["data-zone"]: element.attrib["class"]
        for element in page.root.iter()
        if "data-zone" in element.attrib
    }
    assert shades[str(max((row for row in counts if row[0] <= 263), key=lambda row: row[3])[0])] == "f8"
    assert {shades[str(row[0])] for row in counts if not row[3] and row[0] <= 263} == {"f0"}


def test_flows_between_boroughs(loaded: Pipeline, page: Page) -> None:
    flows = loaded.rows(
        "SELECT a.borough, b.borough, count(*) FROM trips JOIN zones a ON a.zone_id = pickup_zone_id "
        "JOIN zones b ON b.zone_id = dropoff_zone_id WHERE strftime(pickup_datetime, '%Y-%m') = '2023-02' GROUP BY ALL"
    )
    found = page.of("data-flow")
    expected = {f"{pickup} > {dropoff}": f"{trips:,}" for pickup, dropoff, trips in flows}
    assert {key: words for key, words in found.items() if ">" in key and words != "0"} == expected
    totals: dict[str, int] = {}
    for pickup, _, trips in flows:
        totals[pickup] = totals.get(pickup, 0) + trips
    for pickup, trips in totals.items():
        assert found[pickup] == f"{trips:,}"


def test_how_good_the_data_is(loaded: Pipeline, page: Page, three_months: Path) -> None:
    import pyarrow.parquet as pq

    found = page.of("data-quality")
    reasons = page.of("data-reason")
    for fleet in FLEETS:
        published = pq.read_metadata(three_months / "trip-data" / f"{fleet}_tripdata_2023-02.parquet").num_rows
        assert found[f"{fleet}.published"] == f"{published:,}"
        (trips,) = loaded.rows(f"SELECT count(*) FROM trips WHERE fleet = '{fleet}' AND pickup_date >= '2023-02-01'")[0]
        assert found[f"{fleet}.loaded"] == f"{trips:,}"
        assert found[f"{fleet}.rejected"] == f"{published - trips:,}"
        outside = loaded.rows(
            f"SELECT count(*) FROM rejected_trips WHERE fleet = '{fleet}' AND month = '2023-02-01' "
            "AND NOT (pickup_datetime >= '2023-02-01' AND pickup_datetime < '2023-03-01')"
        )[0][0]
        assert reasons.get(f"{fleet}.pickup outside the month", "0") == f"{outside:,}"
    assert "loaded and rejected are together what was published" in page.text
    (warning,) = page.of("data-warning").items()
    assert warning[0] == "distributions_hold", "fares rose on 2022-12-19, in the sample as in New York"
    assert "fare_amount of green 2023-02" in warning[1]
    assert "1 of 12 checks of the values of the month's trips warn" in page.text


def test_it_is_one_file_that_asks_for_nothing(page: Page) -> None:
    html = page.path.read_text()
    assert len(html) < 3_000_000
    named = [value for element in page.root.iter() for key, value in element.attrib.items() if key in ("src", "href")]
    assert named == ["2023-02.csv", "#manhattan"]
    assert not re.search(r"url\(|@import|<link|<script", html)
    assert "Synthetic data" in page.text
    assert "missing" not in {element.attrib.get("id") for element in page.root.iter()}


def test_the_same_bytes_again_and_in_another_order(copy: Pipeline) -> None:
    """When a month that it is compared with is loaded later, the report is made anew."""
    assert copy.report(monthly_report, "2023-01-01").success
    before = (copy.folder / "outputs" / "reports" / "2023-02.html").read_bytes()
    assert copy.report(monthly_report, "2023-02-01").success
    assert (copy.folder / "outputs" / "reports" / "2023-02.html").read_bytes() == before
    copy.execute("DELETE FROM loaded_days WHERE pickup_date = '2023-01-31'")
    assert copy.report(monthly_report, "2023-02-01").success
    page = Page(copy, "2023-02")
    assert not [key for key in page.of("data-figure") if key.startswith("previous.")]
    assert page.text.count("Not compared with January 2023: not all days are loaded.") == 1
    assert page.of("data-figure")["year_before.num_trips"]
    copy.load("2023-01-31")
    assert copy.report(monthly_report, "2023-01-01").success, "which the report of February compares itself with"
    assert (copy.folder / "outputs" / "reports" / "2023-02.html").read_bytes() == before


def test_a_month_with_missing_days_names_them(make_pipeline: MakePipeline, three_months: Path) -> None:
    pipeline = make_pipeline(three_months, fleets=FLEETS)
    pipeline.load("2023-02-03", "2023-02-28")
    result = pipeline.report(monthly_report, "2023-02-01")
    assert result.success, error_of(result)
    page = Page(pipeline, "2023-02")
    assert "Not loaded: yellow 2023-02-01 to 2023-02-02, green 2023-02-01 to 2023-02-02." in page.text
    assert page.of("data-day")["2023-02-01"] == "Wednesday, 1 February: not loaded"
    assert "previous.revenue" not in page.of("data-figure")
    assert "Not compared with January 2023 and February 2022: not all days are loaded." in page.text
    assert "together what was published" not in page.text
    (made,) = materializations_of(result, "monthly_report")
    assert made.partition == "2023-02-01"
    assert made.metadata["missing_days"].value == 4
    assert made.metadata["trips"].value == pipeline.rows("SELECT count(*) FROM trips")[0][0]


def test_a_month_without_any_day_is_refused(make_pipeline: MakePipeline, three_months: Path) -> None:
    pipeline = make_pipeline(three_months)
    pipeline.load("2023-01-05")
    result = pipeline.report(monthly_report, "2023-02-01")
    assert "no day of 2023-02 is loaded: materialize its days first" in error_of(result)
    assert not (pipeline.folder / "outputs" / "reports" / "2023-02.html").exists()


def test_trips_that_the_flows_lack_are_an_error_that_says_what_to_do(
    make_pipeline: MakePipeline, three_months: Path
) -> None:
    """A day whose trips were loaded before there were zones has no flows until they are counted."""
    pipeline = make_pipeline(three_months)
    pipeline.run("2023-02-06", select=[taxi_trips_file, "taxi_trips"])
    pipeline.load("2023-02-05")
    assert pipeline.rows("SELECT DISTINCT pickup_date FROM borough_flows") == [(date(2023, 2, 5),)]
    error = error_of(pipeline.report(monthly_report, "2023-02-01"))
    assert "materialize borough_flows for these days" in error
    pipeline.run("2023-02-06", select=["borough_flows"])
    assert pipeline.report(monthly_report, "2023-02-01").success


def test_what_warns_is_on_the_page(make_pipeline: MakePipeline, three_months: Path) -> None:
    pipeline = make_pipeline(three_months)
    pipeline.load("2023-02-05", "2023-02-06")
    pipeline.execute("UPDATE trips SET passenger_count = NULL")
    assert pipeline.report(monthly_report, "2023-02-01").success
    warned = Page(pipeline, "2023-02").of("data-warning")
    assert list(warned) == ["passengers_are_counted"]
    warning = warned["passengers_are_counted"]
    assert "50 % until 28 of them are loaded): yellow 2023-02-05, yellow 2023-02-06" in warning


def test_a_single_fleet_has_nothing_beside_it(make_pipeline: MakePipeline, three_months: Path) -> None:
    pipeline = make_pipeline(three_months)
    pipeline.load("2023-02-05")
    assert pipeline.report(monthly_report, "2023-02-01").success
    page = Page(pipeline, "2023-02")
    assert "Fleets side by side" not in page.text
    assert page.of("data-figure")["mean_fare"]


@pytest.mark.parametrize("fleet", ["fhv", "fhvhv"])
def test_fleets_without_fares_or_payment_have_no_data_there(tmp_path: Path, fleet: str) -> None:
    days = Days(date(2023, 1, 1), date(2023, 1, 2))
    write_mirror(tmp_path / "mirror", days, fleet=fleet, trips_per_day=200)
    pipeline = pipeline_in(tmp_path / "data", tmp_path / "mirror", [fleet])
    pipeline.load("2023-01-01", "2023-01-02")
    assert pipeline.report(monthly_report, "2023-01-01").success
    page = Page(pipeline, "2023-01")
    found = page.of("data-figure")
    asked = {"revenue", "mean_fare", "mean_distance", "tips_per_card_trip"}
    without = asked - set(found)
    assert without == (asked if fleet == "fhv" else {"tips_per_card_trip"})
    assert found["mean_minutes"]
    assert page.text.count("These fleets publish no data for: ") == 1
    assert "tip per trip paid by card." in page.text
    assert NO_DATA not in page.of("data-figure").values()


def test_names_in_the_data_can_not_break_the_page(make_pipeline: MakePipeline, three_months: Path) -> None:
    pipeline = make_pipeline(three_months)
    pipeline.load("2023-02-05")
    pipeline.execute("UPDATE zones SET zone = '<script>alert(1)</script> & \"co\"' WHERE zone_id = 132")
    assert pipeline.report(monthly_report, "2023-02-01").success
    page = Page(pipeline, "2023-02")
    assert "<script" not in page.path.read_text()
    assert page.of("data-zone")["132"].startswith('<script>alert(1)</script> & "co", Queens')


@pytest.mark.slow
def test_it_fits_a_phone_a_dark_room_and_a_sheet_of_paper(page: Page) -> None:
    """Regression: on paper the hours after 19:00 and the last boroughs were cut off."""
    url = page.path.as_uri()
    with browser_or_skip() as browser:
        phone = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
        asked: list[str] = []
        phone.on("request", lambda request: asked.append(request.url))
        phone.goto(url)
        assert asked == [url]
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        chart = phone.get_by_label("Trips per day").bounding_box()
        assert chart
        assert chart["y"] + chart["height"] <= 800, "within the first screen"
        cards = [card.bounding_box() for card in phone.locator(".numbers div").all()]
        rows = Counter(round(card["y"]) for card in cards if card)
        assert set(list(rows.values())[:-1]) == {2}, "two columns"
        assert phone.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 28)"
        paper = browser.new_page(viewport={"width": 700, "height": 1000}, color_scheme="dark")  # A4 within margins
        paper.goto(url)
        paper.emulate_media(media="print")
        assert paper.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not paper.get_by_text("when the pointer rests on it").is_visible()
        assert paper.evaluate("document.documentElement.scrollWidth") <= 700
        widths = "boxes => boxes.map(box => [box.scrollWidth, box.clientWidth])"
        for wanted, there in paper.locator(".scroll").evaluate_all(widths):
            assert wanted <= there


def test_tables_are_named_and_reached_by_the_keyboard(page: Page) -> None:
    """Regression: axe's rules empty-table-header and scrollable-region-focusable."""
    headers = [element for element in page.root.iter() if element.tag.endswith("}th")]
    assert headers
    assert not [element for element in headers if not "".join(element.itertext()).strip()]
    regions = [element.attrib for element in page.root.iter() if element.attrib.get("class") == "scroll"]
    assert len(regions) >= 6
    assert {(each.get("tabindex"), each.get("role")) for each in regions} == {("0", "region")}
    names = [each["aria-label"] for each in regions]
    assert len(set(names)) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 700])
def test_a_table_that_is_too_wide_shows_that_it_scrolls(page: Page, width: int) -> None:
    """Regression: on a phone tables ended in the middle of a number, and nothing showed that there was more."""
    with browser_or_skip() as browser:
        shown = browser.new_page(viewport={"width": width, "height": 800})
        shown.goto(page.path.as_uri())
        too_wide = 0
        for region in shown.locator(".scroll").all():
            sizes = region.evaluate("box => [box.scrollWidth, box.clientWidth, box.getBoundingClientRect().right]")
            hint = region.locator(".swipe")
            assert hint.is_visible() is (sizes[0] > sizes[1])
            if sizes[0] <= sizes[1]:
                continue
            too_wide += 1
            name = region.locator("tbody th").first
            left = "name => name.getBoundingClientRect().left"
            before = name.evaluate(left)
            region.focus()
            for _ in range(60):
                shown.keyboard.press("ArrowRight")
            shown.wait_for_function(
                "box => box.scrollLeft + box.clientWidth >= box.scrollWidth - 1", arg=region.element_handle()
            )
            assert name.evaluate(left) == before, "the name of the row stays"
            last = region.locator("tbody tr").first.locator("td:visible").last.bounding_box()
            assert last
            fade = 24 if width == 390 else 0
            assert last["x"] + last["width"] <= sizes[2] - fade + 1, "the last column is not in the fade"
            if fade:
                assert "linear-gradient" in region.evaluate("box => getComputedStyle(box).maskImage")
        assert too_wide >= 1
        hours = shown.get_by_role("region", name="When people ride").locator("table:visible tbody tr")
        assert hours.count() == (24 if width == 390 else 7), (
            "a row for each hour, where hours side by side are too wide"
        )


def test_the_hours_of_a_phone_are_those_of_a_desk(page: Page) -> None:
    wide, narrow = (
        [[cell.text for cell in row if cell.tag.endswith("}td")] for row in table.iter() if row.tag.endswith("}tr")][1:]
        for table in page.root.iter()
        if table.attrib.get("class") in ("heat wide", "heat narrow")
    )
    assert [list(column) for column in zip(*narrow, strict=True)] == wide
    assert len(narrow) == 24


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0, [0, 1, 2]),
        (3, [0, 1, 2, 3]),
        (9, [0, 2, 4, 6, 8, 10]),
        (10, [0, 2, 4, 6, 8, 10]),
        (11, [0, 5, 10, 15]),
        (122_319, [0, 50_000, 100_000, 150_000]),
        (250_001, [0, 100_000, 200_000, 300_000]),
    ],
)
def test_the_axis_ends_with_the_next_round_number_above_the_highest_bar(most: int, ticks: list[int]) -> None:
    assert round_ticks(most) == ticks


# Real months

_FOR_THE_REPORT = (taxi_zones_file, taxi_zones, taxi_trips_file, "taxi_trips", "borough_flows")


@pytest.mark.real_data
def test_a_real_month_with_trips_of_impossible_length(make_pipeline: MakePipeline, real_tlc: Path) -> None:
    """A single trip of tens of thousands of miles would outweigh a week."""
    pipeline = make_pipeline(real_tlc, fleets=("green",))
    pipeline.run("2023-02-01", "2023-02-28", select=_FOR_THE_REPORT)
    result = pipeline.report(monthly_report, "2023-02-01")
    assert result.success, error_of(result)
    page = Page(pipeline, "2023-02")
    (longest, plain_mean) = pipeline.rows("SELECT max(trip_distance), avg(trip_distance) FROM trips")[0]
    (mean,) = pipeline.rows(
        "WITH kinds AS (SELECT *, count(*) FILTER (total_amount < 0) OVER kind AS refunds, "
        "count(*) FILTER (total_amount > 0) OVER kind AS charges FROM trips WINDOW kind AS (PARTITION BY "
        "pickup_datetime, dropoff_datetime, pickup_zone_id, dropoff_zone_id, trip_distance, abs(total_amount))) "
        "SELECT avg(trip_distance) FROM kinds WHERE trip_distance <= 100 AND dropoff_datetime >= pickup_datetime "
        "AND dropoff_datetime - pickup_datetime <= INTERVAL 6 HOUR AND NOT (refunds = 1 AND charges = 1) "
        "AND trip_distance > 0"
    )[0]
    assert page.of("data-figure")["num_void_rows"] == "374", "187 voids"
    assert page.of("data-figure")["mean_distance"] == f"{mean:,.2f} miles"
    assert longest > 1000
    assert plain_mean > 1.5 * mean
    assert "Source: NYC Taxi and Limousine Commission" in page.text
    assert "Synthetic" not in page.text


# Rollups


def test_flows_follow_the_zones(make_pipeline: MakePipeline, three_months: Path) -> None:
    """Values, not only sums: one pair of boroughs of one day, by hand."""
    pipeline = make_pipeline(three_months)
    pipeline.load("2023-02-07")
    ((trips, fares, fare, distances, distance, durations, seconds, cards, tips),) = pipeline.rows(
        "SELECT num_trips, num_fares, fare_amount, num_distances, trip_distance, num_durations, duration_seconds, "
        "num_card_trips, card_tip_amount FROM borough_flows "
        "WHERE pickup_borough = 'Manhattan' AND dropoff_borough = 'Queens'"
    )
    rows = pipeline.rows(
        "SELECT fare_amount, trip_distance, pickup_datetime, dropoff_datetime, payment_type, tip_amount FROM trips "
        "WHERE pickup_zone_id IN (SELECT zone_id FROM zones WHERE borough = 'Manhattan') "
        "AND dropoff_zone_id IN (SELECT zone_id FROM zones WHERE borough = 'Queens')"
    )
    assert trips == len(rows)
    kept = [row for row in rows if row[1] <= 100 and 0 <= (row[3] - row[2]).total_seconds() <= 6 * 3600]
    assert (fares, distances, durations) == (len(kept), len(kept), len(kept))
    assert fare == sum(row[0] for row in kept)
    assert distance == sum(row[1] for row in kept)
    assert seconds == sum((row[3] - row[2]).total_seconds() for row in kept)
    assert (cards, tips) == (sum(row[4] == 1 for row in rows), sum(row[5] for row in rows if row[4] == 1))


def numbers_of(page: Page, section: str) -> dict[str, float | None]:
    """The numbers of a section of the CSV, by name."""
    with page.path.with_suffix(".csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["section"] == section]
    return {row["name"]: float(row["value"]) if row["value"] else None for row in rows}


@pytest.mark.parametrize("fleet", FLEETS)
def test_the_months_before_are_lines_with_gaps(loaded: Pipeline, page: Page, fleet: str) -> None:
    """The last two months are within twelve; so is that of a year before, after ten that are not loaded."""
    counted = "SELECT count(*) FROM trips WHERE fleet = ? AND strftime(pickup_date, '%Y-%m') = ?"
    per_day = {month: loaded.rows(counted, [fleet, month])[0][0] / days for month, days in MONTHS.items()}
    assert numbers_of(page, f"trips a day, {fleet}") == {f"{month}-01": trips for month, trips in per_day.items()}
    (figure,) = [each for each in page.root.iter() if each.attrib.get("data-history", "").startswith(fleet)]
    assert figure.attrib["data-history"] == f"{fleet}.12", "five years show no month more"
    (path,) = [each.attrib["d"] for each in figure.iter() if each.attrib.get("class") == "trend"]
    assert re.sub(r"[^A-Za-z]", "", path) == "MhMhL"
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    most, ago = max(per_day.values()), {"2022-02": 12, "2023-01": 1, "2023-02": 0}
    assert points == [
        (
            pytest.approx(260 * (1 - ago[month] / 12), abs=0.06),
            pytest.approx(44 * (1 - per_day[month] / most), abs=0.06),
        )
        for month in MONTHS
    ]
    (busiest,) = [month for month, trips in per_day.items() if trips == most]
    assert f" to {most:,.0f} ({date.fromisoformat(f'{busiest}-01'):%b %Y}) trips a day" in "".join(figure.itertext())


def test_five_years_have_a_line_where_they_show_more_than_twelve_months(loaded: Pipeline) -> None:
    """A month between two that are not loaded is a dot; one month alone is no line, and one not loaded has no end."""
    figures = loaded.warehouse.query(figures_of, date(2023, 2, 1), FLEETS)
    years = {date(2018, 2, 1): 5.0, date(2020, 4, 1): 0.0, date(2022, 12, 1): 10.0, date(2023, 1, 1): 20.0}
    year, five = history_of(replace(figures, history={"green": years}))
    assert (year["key"], year["path"], year["end"]) == ("green.12", "M216.7 22.0h0L238.3 0.0", None)
    assert (five["key"], five["path"], five["first"]) == (
        "green.60",
        "M0.0 33.0h0M112.7 44.0h0M251.3 22.0h0L255.7 0.0",
        "Feb 2018",
    )
    assert five["words"] == "0 (Apr 2020) to 20 (Jan 2023)"
    assert history_of(replace(figures, history={"green": {date(2023, 2, 1): 7.0}})) == []


def test_medians_are_said_by_the_range_that_they_lie_in(loaded: Pipeline, page: Page) -> None:
    """The range holds the median that DuckDB finds among the trips; no false precision."""
    found = page.of("data-median")
    assert {name.split(".")[1] for name in found} >= {"fare_amount", "trip_distance", "passenger_count"}
    values = {
        "fare_amount": "fare_amount",
        "trip_distance": "trip_distance",
        "duration_minutes": "date_diff('second', pickup_datetime, dropoff_datetime) / 60",
        "passenger_count": "passenger_count",
    }
    for fleet in FLEETS:
        first, last = numbers_of(page, f"median from, {fleet}"), numbers_of(page, f"median to, {fleet}")
        for measure, value in values.items():
            ((median,),) = loaded.rows(
                f"SELECT CAST(quantile_disc({value}, 0.5) AS DOUBLE) FROM trips "
                "WHERE fleet = ? AND pickup_date >= '2023-02-01'",
                [fleet],
            )
            low, high = first[measure], last[measure]
            assert low is not None
            assert high is not None
            assert low <= median <= high, (fleet, measure)
            words = f"{low:g}" if measure == "passenger_count" else f"{low:g} to {high:g}"
            assert found[f"{fleet}.{measure}"] == words


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, None),
        ({NO_VALUE: 7}, None),
        ({NO_VALUE: 7, 3: 1}, 3),
        ({0: 1, 13: 1}, 0),
        ({0: 1, 13: 2}, 13),
        ({2: 2, 3: 1, 5: 2}, 3),
    ],
)
def test_the_bin_of_the_median(counts: dict[int, int], expected: int | None) -> None:
    assert median_bin(counts) == expected


def test_a_bin_without_an_end_is_a_range_without_one() -> None:
    fare, passengers = MEASURES["fare_amount"], MEASURES["passenger_count"]
    assert [fare.range_of(bin_) for bin_ in (0, 1, 13)] == [(None, 0), (0, 5), (100, None)]
    assert [passengers.range_of(bin_) for bin_ in (0, 1, 6)] == [(None, 1), (1, 1), (6, None)]
