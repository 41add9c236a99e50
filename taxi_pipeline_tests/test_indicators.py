"""What the TLC itself counts: its monthly report is read, loaded, and compared with the trips."""

import csv
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import dagster as dg
import pytest

from taxi_pipeline.defs.assets import monthly_report, tlc_indicators, tlc_report_file
from taxi_pipeline.quality.tlc_report import (
    KNOWN_DEVIATIONS,
    ComparedTrips,
    KnownDeviation,
    compare_trips,
    known_deviation,
)
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.aggregated_report import (
    PUBLISHED_AT,
    Indicators,
    classes_of,
    read_report,
    report_url,
)
from taxi_pipeline.tlc.download import TLC_SERVER
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.warehouse.coverage import LoadedMonth
from taxi_pipeline.warehouse.tables import TLC_INDICATORS
from taxi_pipeline_tests.pipelines import LOADING, Pipeline, check_of, error_of, materializations_of, table_of
from taxi_pipeline_tests.report_files import COLUMNS, HEADER, report_text, row, write_report

MakePipeline = Callable[..., Pipeline]
MARCH = date(2022, 3, 1)
FOR_HIRE = ("FHV - High Volume", "FHV - Black Car", "FHV - Livery", "FHV - Lux Limo")


# How it is read


def test_the_report_lies_on_the_mirror_or_on_the_tlcs_site() -> None:
    assert report_url("file:///mirror") == "file:///mirror/misc/data_reports_monthly.csv"
    assert report_url(TLC_SERVER) == PUBLISHED_AT


def report_of(tmp_path: Path, *rows: list[str], header: str = HEADER) -> Path:
    path = tmp_path / "report.csv"
    path.write_text(report_text(rows, header), encoding="utf-8")
    return path


def test_values_are_read_as_the_tlc_writes_them(tmp_path: Path) -> None:
    """Commas between thousands, percent, dashes and blanks for what is not published, a byte order mark."""
    figures = (
        "1,116,629",
        "  2,097,334 ",
        "9,535",
        "6984",
        "5,907",
        "26.2",
        "9",
        "22.3",
        "8.1",
        "      -      ",
        "80%",
    )
    path = report_of(
        tmp_path,
        row("2022-03", "Yellow", *figures, " - "),
        row("2022-03", "FHV - Livery", "27,354", "    ", *["-"] * 7, "19", "", "0"),
    )
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    report = read_report(path)
    assert report.indicators == [
        Indicators(MARCH, "FHV - Livery", 27_354, minutes_per_trip=Decimal(19), shared_trips_per_day=0),
        Indicators(
            *(MARCH, "Yellow", 1_116_629, 2_097_334, 9_535, 6_984, 5_907),
            *map(Decimal, ("26.2", "9", "22.3", "8.1")),
            card_share=Decimal("0.8"),
        ),
    ]
    assert (report.num_not_published, report.problems) == (2 + 9, [])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("Trips Per Day", "n/a"),
        ("Trips Per Day", "1,2"),
        ("Trips Per Day", "12.5"),
        ("Trips Per Day", "-5"),
        ("Unique Drivers", "#REF!"),
        ("Unique Drivers", "٣"),
        ("Avg Minutes Per Trip", "1e3"),
        ("Avg Minutes Per Trip", "99999"),
        ("Percent of Trips Paid with Credit Card", "101%"),
        ("Percent of Trips Paid with Credit Card", "0.66"),
    ],
)
def test_a_value_that_cannot_be_read_is_null_and_told(tmp_path: Path, column: str, value: str) -> None:
    bad = row("2022-03", "Yellow")
    bad[COLUMNS.index(column)] = value
    report = read_report(report_of(tmp_path, bad, row("2022-03", "Green")))
    assert report.problems == [(2, column.lower(), value, "can't be read, NULL")]
    green, yellow = report.indicators
    (field,) = [name for name, found in vars(yellow).items() if found != vars(green)[name] and name != "license_class"]
    assert vars(yellow)[field] is None


def test_rows_and_columns_that_cannot_be_told_are_left_out_and_told(tmp_path: Path) -> None:
    path = report_of(
        tmp_path,
        row("March 2022", "Yellow"),
        row("2022-13", "Yellow"),
        row("2022-03", ""),
        row("2022-03", "Yellow"),
        row("2022-03", "Yellow", "1"),
        row("2022-03", "Green")[:5],
        [],
        row("2022-03", "FHV - Moon Buggy"),
        header=HEADER.replace("Trips Per Day Shared", "Mood"),
    )
    report = read_report(path)
    assert [(found.license_class, found.trips_per_day) for found in report.indicators] == [
        ("FHV - Moon Buggy", 12_000),
        ("Green", 12_000),
        ("Yellow", 12_000),
    ]
    assert report.indicators[1].vehicles_per_day is None
    assert report.indicators[0].shared_trips_per_day is None
    assert [problem[:2] for problem in report.problems] == [
        (1, "mood"),
        (1, "trips per day shared"),
        (2, "month/year"),
        (3, "month/year"),
        (4, "month/year"),
        (6, "license class"),
        (7, ""),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>403</html>",
        "Month/Year,License Class\n2022-03,Yellow\n",
        "a,b\nc",
        HEADER + "\n",
        f"{HEADER}\nMarch 2022,Yellow,1\n",
    ],
)
def test_what_is_not_the_report_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.csv").write_text(text)
    with pytest.raises(UnusableFileError, match="not the TLC's monthly report"):
        read_report(tmp_path / "report.csv")


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_bytes(HEADER.encode() + b"\n2022-03,Yellow,\xff\xfe\n")
    with pytest.raises(UnusableFileError, match="not the TLC's monthly report"):
        read_report(tmp_path / "report.csv")


def test_before_2019_02_the_fhv_file_holds_all_four_classes(tmp_path: Path) -> None:
    assert classes_of("fhv", date(2019, 1, 1)) == FOR_HIRE
    assert classes_of("fhv", date(2019, 2, 1)) == ()
    assert classes_of("fhvhv", date(2019, 2, 1)) == FOR_HIRE[:1]
    rows = [row("2019-01", name, str(1_000 + n)) for n, name in enumerate(FOR_HIRE)]
    report = read_report(report_of(tmp_path, *rows, row("2019-02", FOR_HIRE[1])))
    assert report.trips_per_day("fhv", date(2019, 1, 1)) == 4_006
    assert report.trips_per_day("fhv", date(2019, 2, 1)) is None
    assert report.minutes_per_trip("fhv", date(2019, 1, 1)) is None
    rows[2][2] = "-"
    assert read_report(report_of(tmp_path, *rows)).trips_per_day("fhv", date(2019, 1, 1)) is None, "a class lacks"


# How it is loaded


def test_fields_are_the_columns_of_the_table() -> None:
    assert tuple(field.name for field in fields(Indicators)) == TLC_INDICATORS.column_names
    published = {column.made_from[0].removeprefix("tlc_report_file.") for column in TLC_INDICATORS.columns}
    assert published == set(COLUMNS), "no column of the report is dropped"


def load(pipeline: Pipeline) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [tlc_report_file, tlc_indicators], resources=pipeline.resources, instance=instance, raise_on_error=False
        )


def test_the_report_becomes_a_table(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    write_report(mirror, [row("2022-03", "Yellow"), row("2022-02", "FHV - Livery", "27,354", "", "-")])
    pipeline = make_pipeline(mirror)
    result = load(pipeline)
    assert result.success, error_of(result)
    common = (300, 200, Decimal("20.5"), Decimal("6.5"), Decimal(21), Decimal("4.2"), Decimal("15.5"), Decimal("0.66"))
    expected = [
        (date(2022, 2, 1), "FHV - Livery", 27_354, None, None, *common, None),
        (MARCH, "Yellow", 12_000, 30_000, 400, *common, None),
    ]
    assert pipeline.rows("SELECT * FROM tlc_indicators ORDER BY month") == expected
    (made,) = materializations_of(result, "tlc_indicators")
    assert made.metadata["dagster/row_count"].value == 2
    assert made.metadata["num_not_published"].value == 4
    assert made.metadata["last_month"].value == "2022-03"
    assert table_of(made.metadata["preview"])[0]["trips_per_day"] == 12_000, "the newest is shown first"
    assert check_of(result, "report_is_readable").passed
    version = pipeline.rows("SELECT version FROM warehouse_version")
    assert load(pipeline).success
    assert pipeline.rows("SELECT * FROM tlc_indicators ORDER BY month") == expected
    assert pipeline.rows("SELECT version FROM warehouse_version") > version
    write_report(mirror, [row("2022-03", "Yellow", "13,000")])
    assert load(pipeline).success
    assert pipeline.rows("SELECT month, trips_per_day FROM tlc_indicators") == [(MARCH, 13_000)], (
        "the whole is replaced"
    )


def test_a_value_that_cannot_be_read_warns(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    write_report(tmp_path / "mirror", [row("2022-03", "Yellow", "many")])
    pipeline = make_pipeline(tmp_path / "mirror")
    result = load(pipeline)
    check = check_of(result, "report_is_readable")
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert table_of(check.metadata["problems"]) == [
        {"line": 2, "column": "trips per day", "value": "many", "what of it": "can't be read, NULL"}
    ]
    assert pipeline.rows("SELECT trips_per_day, unique_drivers FROM tlc_indicators") == [(None, 400)]
    assert result.success


def test_a_report_that_is_missing_or_broken_fails_nothing_but_itself(
    make_pipeline: MakePipeline, tmp_path: Path, mirror: Path
) -> None:
    pipeline = make_pipeline(mirror)
    assert not (mirror / "misc" / "data_reports_monthly.csv").exists()
    result = load(pipeline)
    assert not result.success
    assert "there is no such file in the mirror" in error_of(result)
    assert materializations_of(result, "tlc_indicators") == []
    assert pipeline.run("2023-02-07").success, "trips are loaded without it"
    own = make_pipeline(tmp_path / "own")
    path = write_report(tmp_path / "own", [row("2022-03", "Yellow")])
    assert load(own).success
    path.write_text("<html>Access denied</html>")
    assert not load(own).success
    assert own.rows("SELECT trips_per_day FROM tlc_indicators") == [(12_000,)], "what was loaded stays"
    assert own.files.read_text("raw/data_reports_monthly.csv").startswith("Month/Year"), "so does the copy"


def test_a_warehouse_of_before_the_table_gets_it_when_it_is_read(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    pipeline.run("2023-02-07", select=("taxi_trips_file", "taxi_trips"))
    pipeline.execute("DROP TABLE tlc_indicators")
    assert pipeline.rows("SELECT count(*) FROM tlc_indicators") == [(0,)]


# How it is compared


def test_known_deviations_do_not_overlap_and_have_evidence() -> None:
    for each in KNOWN_DEVIATIONS:
        assert each.lowest <= each.highest, each
        assert each.first <= each.last, each
        assert each.evidence.startswith("Counted by others: "), "none of these months is at hand"
    for fleet in {each.fleet for each in KNOWN_DEVIATIONS}:
        spans = sorted((each.first, each.last) for each in KNOWN_DEVIATIONS if each.fleet == fleet)
        assert all(last < first for (_, last), (first, _) in pairwise(spans)), fleet
    assert known_deviation("yellow", date(2012, 3, 1)) is None
    assert known_deviation("green", date(2019, 3, 1)) is known_deviation("green", date(2018, 8, 1))


@pytest.mark.parametrize(
    ("fleet", "month", "difference", "is_off"),
    [
        ("yellow", date(2012, 3, 1), 0.009, False),
        ("yellow", date(2012, 3, 1), -0.011, True),
        ("yellow", date(2012, 1, 1), -0.12, False),
        ("yellow", date(2012, 1, 1), -0.134, False),  # -13 % in whole percent
        ("yellow", date(2012, 1, 1), -0.15, True),
        ("yellow", date(2012, 1, 1), 0.0, False),  # published again, and whole
        ("yellow", date(2012, 1, 1), 0.05, True),
        ("green", date(2019, 5, 1), 0.27, False),
        ("green", date(2019, 5, 1), 0.30, True),
        ("green", date(2020, 2, 1), 0.02, True),
        ("fhvhv", date(2021, 9, 1), 0.17, False),
        ("fhv", date(2018, 12, 1), 0.028, False),
        ("fhv", date(2018, 12, 1), 0.04, True),
    ],
)
def test_a_month_warns_when_it_is_off_by_more_than_it_is_known_to_be(
    fleet: str, month: date, difference: float, is_off: bool
) -> None:
    compared = ComparedTrips(fleet, month, 100_000 * (1 + difference), 100_000, known_deviation(fleet, month))
    assert compared.is_off is is_off


def test_the_range_of_a_deviation_in_words() -> None:
    def words(lowest: float, highest: float) -> str:
        return KnownDeviation("fhv", MARCH, MARCH, lowest, highest, "").words

    assert words(-0.028, 0.028) == "-2.8% to +2.8%"
    assert words(0.17, 0.17) == "+17%"


def test_the_fhv_file_is_compared_with_the_sum_of_its_classes(tmp_path: Path) -> None:
    rows = [row(month, name, "250") for month in ("2018-12", "2019-02") for name in FOR_HIRE]
    report = read_report(report_of(tmp_path, *rows))
    loaded = [
        LoadedMonth("fhv", date(2018, 12, 1), 31, 31_310, 31_310, 0, 1, "v"),
        LoadedMonth("fhv", date(2019, 2, 1), 28, 28_000, 28_000, 0, 1, "v"),
    ]
    (compared,) = compare_trips(loaded, report)
    assert (compared.month, compared.reported) == (date(2018, 12, 1), 1_000)
    assert compared.difference == pytest.approx(0.01)


@pytest.fixture(scope="module")
def of_2018(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with a month of green taxis whose real file is known to differ from the report."""
    mirror = tmp_path_factory.mktemp("mirror_of_2018")
    write_mirror(mirror, Days(date(2018, 8, 1), date(2018, 8, 31)), fleet="green", trips_per_day=100)
    return mirror


def test_the_check_names_the_declared_deviation(make_pipeline: MakePipeline, of_2018: Path) -> None:
    """And compares the mean duration, which a plain query computes."""
    pipeline = make_pipeline(of_2018, fleets=("green",))
    pipeline.run("2018-08-01", "2018-08-31", select=("taxi_zones_file", "taxi_zones", "taxi_trips_file", "taxi_trips"))
    pipeline.execute("UPDATE loaded_days SET synthetic = FALSE")
    ((num_trips,),) = pipeline.rows("SELECT count(*) FROM trips")
    ((minutes,),) = pipeline.rows(
        "SELECT avg(epoch(dropoff_datetime) - epoch(pickup_datetime)) / 60 FROM trips WHERE trip_distance <= 100 "
        "AND dropoff_datetime BETWEEN pickup_datetime AND pickup_datetime + INTERVAL 6 HOUR"
    )

    def check(trips_per_day: float, minutes_per_trip: float) -> dg.AssetCheckEvaluation:
        figures = [f"{trips_per_day:.0f}", *[""] * 8, f"{minutes_per_trip:.1f}"]
        write_report(of_2018, [row("2018-08", "Green", *figures)])
        selection = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("taxi_trips"), "trips_match_tlc_report"))
        return check_of(pipeline.run_job(selection, {}), "trips_match_tlc_report")

    per_day = num_trips / 31
    within = check(per_day / 1.12, minutes)
    assert within.passed, within.description
    assert "known: +2% to +27%" in str(within.description)
    (known,) = table_of(within.metadata["known_deviations"])
    assert known["evidence"] == known_deviation("green", date(2018, 8, 1)).evidence  # type: ignore[union-attr]
    (compared,) = table_of(within.metadata["minutes"])
    assert compared["minutes per trip"] == pytest.approx(minutes, abs=0.02)
    beyond = check(per_day / 1.4, minutes)
    assert (beyond.passed, beyond.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "green 2018-08 trips per day +4" in str(beyond.description)
    assert "known: +2% to +27%" in str(beyond.description)
    other_minutes = check(per_day, minutes + 1)
    assert not other_minutes.passed
    assert "green 2018-08 minutes per trip -" in str(other_minutes.description)


# The section of the monthly report


def test_the_monthly_report_shows_what_the_tlc_counts(make_pipeline: MakePipeline, of_2018: Path) -> None:
    pipeline = make_pipeline(of_2018, fleets=("green",))
    pipeline.run("2018-08-01", "2018-08-31", select=(*LOADING, "taxi_zones_file", "taxi_zones"))
    yellow = ("9,000", "30,000", "400", "300", "200", "20.5", "6.5", "15.5", "4.2", "15", "66%", "450")
    write_report(of_2018, [row("2018-08", "Yellow", *yellow), row("2018-08", "FHV - Livery", "700", *["-"] * 11)])
    assert load(pipeline).success
    assert shown_in(pipeline) == {}, "beside synthetic trips the TLC's figures would mislead"
    pipeline.execute("UPDATE loaded_days SET synthetic = FALSE")
    shown = shown_in(pipeline)
    assert {key.removeprefix("Yellow."): words for key, words in shown.items() if key.startswith("Yellow.")} == {
        "trips_per_day": "9,000",
        "farebox_dollars_per_day": "$30,000",
        "unique_drivers": "400",
        "unique_vehicles": "300",
        "vehicles_per_day": "200",
        "trips_per_vehicle_per_day": "45.0",
        "farebox_dollars_per_vehicle_per_day": "$150",
        "farebox_dollars_per_driver_per_day": "$150",  # 400 drivers on 15.5 of 31 days: 200 a day
        "hours_per_day_per_vehicle": "6.5 hours",
        "hours_per_day_per_driver": "4.2 hours",
        "minutes_per_trip": "15.0 minutes",
        "card_share": "66%",
        "shared_share": "5.0%",
    }
    livery = [words for key, words in shown.items() if key.startswith("FHV - Livery.")]
    assert livery == ["700", *["-"] * 12]
    numbers = list(csv.reader(pipeline.files.read_text("outputs/reports/2018-08.csv").splitlines()))
    assert ["counted by the TLC, Yellow", "card_share", "0.66"] in numbers
    assert ["counted by the TLC, FHV - Livery", "trips_per_day", "700"] in numbers
    before = pipeline.files.read("outputs/reports/2018-08.html")
    assert shown_in(pipeline) == shown
    assert pipeline.files.read("outputs/reports/2018-08.html") == before, "the same bytes again"


def shown_in(pipeline: Pipeline) -> dict[str, str]:
    """Make the report of the month, and read its section: licence class and measure → words."""
    result = pipeline.report(monthly_report, "2018-08-01")
    assert result.success, error_of(result)
    page = ElementTree.fromstring(pipeline.files.read_text("outputs/reports/2018-08.html"))  # noqa: S314 - our own
    return {cell.attrib["data-indicator"]: cell.text or "" for cell in page.iter() if "data-indicator" in cell.attrib}


# The real report


@pytest.mark.real_data
def test_the_real_report_has_six_classes_through_the_years(real_tlc: Path) -> None:
    path = real_tlc / "misc" / "data_reports_monthly.csv"
    report = read_report(path)
    assert report.problems == []
    with path.open(newline="") as file:
        rows = {(line["Month/Year"], line["License Class"]): line for line in csv.DictReader(file)}
    assert len(report.indicators) == len(rows) == 596
    for found in report.indicators:
        line = rows[f"{found.month:%Y-%m}", found.license_class]
        trips, farebox = [text.strip().replace(",", "") for text in list(line.values())[2:4]]
        assert found.trips_per_day == int(trips)
        assert found.farebox_dollars_per_day == (int(farebox) if farebox else None)
    values = [value.strip() for line in rows.values() for value in line.values()]
    assert report.num_not_published == sum(value in ("", "-") for value in values)
    by_class = {name: [r.month for r in report.indicators if r.license_class == name] for name in ("Yellow", "Green")}
    assert (by_class["Yellow"][0], by_class["Yellow"][-1], len(by_class["Yellow"])) == (date(2010, 1, 1), MARCH, 147)
    assert (by_class["Green"][0], by_class["Green"][-1], len(by_class["Green"])) == (date(2013, 8, 1), MARCH, 104)
    assert report.trips_per_day("yellow", date(2019, 1, 1)) == 247_315
    # The TLC's file of January 2020 has 20,569,368 rows: 0.01 % more than the report says.
    assert (report.trips_per_day("fhvhv", date(2020, 1, 1)) or 0) * 31 == pytest.approx(20_569_368, rel=0.0002)
    months_of_fhv = [month for month in by_class["Yellow"] if report.trips_per_day("fhv", month)]
    assert (months_of_fhv[0], months_of_fhv[-1], len(months_of_fhv)) == (date(2015, 1, 1), date(2019, 1, 1), 49)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("month", "days", "num_rows"),
    [
        (date(2012, 1, 1), 31, 14_969_132),
        (date(2012, 2, 1), 29, 14_983_521),
        (date(2012, 4, 1), 30, 15_477_914),
        (date(2012, 5, 1), 31, 15_567_525),
        (date(2013, 8, 1), 31, 12_597_109),
    ],
)
def test_the_older_csv_files_of_short_months_were_whole(real_tlc: Path, month: date, days: int, num_rows: int) -> None:
    """The counts of the CSV files are those of public code; the report is the TLC's."""
    known = known_deviation("yellow", month)
    assert known is not None
    assert f"{num_rows:,}" in known.evidence
    figure = read_report(real_tlc / "misc" / "data_reports_monthly.csv").trips_per_day("yellow", month)
    assert figure is not None
    assert num_rows / days == pytest.approx(figure, rel=0.0003)
