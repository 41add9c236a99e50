"""The monthly report as PDF, by mail and to chats: what is sent, to whom, and that nothing is sent twice."""

import functools
import hashlib
import importlib.abc
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pypdf import PdfReader

from taxi_pipeline.defs.assets import delivery, monthly_report
from taxi_pipeline.defs.assets.congestion_fee import congestion_fee
from taxi_pipeline.defs.assets.delivery import build_mail, monthly_report_message, monthly_report_pdf
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.deliveries import NEWS
from taxi_pipeline.defs.optional_groups import with_optional_groups
from taxi_pipeline.defs.resources import Alerts
from taxi_pipeline.delivery.chat import Chats
from taxi_pipeline.delivery.errors import DeliveryDelayedError, DeliveryError, DeliveryUnknownError
from taxi_pipeline.delivery.record import FOLDER, Record, Refusal
from taxi_pipeline.delivery.smtp import Postbox, SmtpServer
from taxi_pipeline.outputs.monthly_report import paper
from taxi_pipeline.outputs.monthly_report.mail import mail_of
from taxi_pipeline.outputs.monthly_report.paper import NoPdfError, pdf_of
from taxi_pipeline.outputs.monthly_report.written import read_report
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days, next_month
from taxi_pipeline_tests.faulty_server import Answer, faulty_server
from taxi_pipeline_tests.mail_servers import PASSWORD, Letterbox, certificate_in, mail_server, scripted_server
from taxi_pipeline_tests.pipelines import Pipeline, error_of, materializations_of, pipeline_in, settings_of
from taxi_pipeline_tests.processes import process, wait_for_file

MONTH = date(2023, 2, 1)
DESK, MAYOR = "desk@example.com", "mayor@example.com"
SENDER = "taxi@example.com"
NAMES = ("outputs/reports/2023-02.html", "outputs/reports/2023-02.csv")
RECORD = f"{FOLDER}/monthly_report_mail/2023-02.json"

_pdf_of_the_same_page = functools.cache(pdf_of)
"""It takes seconds, and most tests send the same page."""

mail_without_delay = build_mail(retries=dg.RetryPolicy(max_retries=1))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A pipeline with the report of a month. Read it, never write to it."""
    mirror = tmp_path_factory.mktemp("mirror")
    for fleet, trips in (("yellow", 150), ("green", 40)):
        write_mirror(mirror, Days(MONTH, date(2023, 2, 28)), fleet=fleet, trips_per_day=trips)
    pipeline = pipeline_in(tmp_path_factory.mktemp("reported"), mirror, ("yellow", "green"))
    pipeline.load("2023-02-01", "2023-02-28")
    assert pipeline.report(monthly_report, "2023-02-01").success
    return pipeline


@pytest.fixture
def written(reported: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A folder with the report's files alone, on a day on which the month is news."""
    shutil.copytree(reported.folder / "outputs", tmp_path / "outputs")
    monkeypatch.setattr(paper, "pdf_of", _pdf_of_the_same_page)
    monkeypatch.setattr(delivery, "new_york_today", lambda: date(2023, 4, 11))
    return pipeline_in(tmp_path, tmp_path / "no-mirror")


@contextmanager
def sending(pipeline: Pipeline, *recipients: str, **options: Any) -> Iterator[tuple[Letterbox, Pipeline]]:
    """A mail server, and the pipeline that sends to it."""
    with mail_server(**options) as server:
        yield server, with_postbox(pipeline, SmtpServer("127.0.0.1", server.port, tls="none"), *recipients)


def with_postbox(pipeline: Pipeline, server: SmtpServer, *recipients: str) -> Pipeline:
    return replace(pipeline, postbox=Postbox(server, SENDER, recipients or (DESK, MAYOR)))


def send(
    pipeline: Pipeline,
    asset: dg.AssetsDefinition = mail_without_delay,
    *,
    until: str = "2023-02-01",
    instance: dg.DagsterInstance | None = None,
    **asked: bool,
) -> dg.ExecuteInProcessResult:
    """Materialize what sends the report, however that ends."""
    name = asset.key.to_user_string()
    with dg.DagsterInstance.ephemeral() as own:
        return dg.materialize(
            [asset],
            resources=pipeline.resources,
            tags={
                "dagster/asset_partition_range_start": "2023-02-01",
                "dagster/asset_partition_range_end": until,
            },
            run_config={**QUIET, "ops": {name: {"config": asked}}},
            instance=instance or own,
            raise_on_error=False,
        )


def facts_of(result: dg.ExecuteInProcessResult, asset: str = "monthly_report_mail") -> dict[str, Any]:
    """The metadata of the last materialization."""
    assert result.success, error_of(result)
    return {key: value.value for key, value in materializations_of(result, asset)[-1].metadata.items()}


def num_tries(result: dg.ExecuteInProcessResult) -> int:
    """How often the step ran."""
    return 1 + sum(event.event_type == dg.DagsterEventType.STEP_RESTARTED for event in result.all_events)


def parts_of(message: EmailMessage) -> dict[str, list[EmailMessage]]:
    parts: dict[str, list[EmailMessage]] = {}
    for part in message.walk():
        parts.setdefault(part.get_content_type(), []).append(part)  # type: ignore[arg-type]
    return parts


# The PDF


@pytest.fixture(scope="module")
def pdf(reported: Pipeline) -> PdfReader:
    result = reported.report(monthly_report_pdf, "2023-02-01")
    assert result.success, error_of(result)
    return PdfReader(reported.folder / "outputs" / "reports" / "2023-02.pdf")


def test_the_pdf_says_what_the_page_says(reported: Pipeline, pdf: PdfReader) -> None:
    page, numbers = (reported.files.read_text(name) for name in NAMES)
    report = read_report(page, numbers)
    text = " ".join(" ".join(page.extract_text() for page in pdf.pages).split())
    assert pdf.metadata
    assert pdf.metadata.title == "New York by taxi, February 2023"
    assert report.finding in text
    assert "Synthetic data." in text
    for card in report.cards:
        assert card.title in text
        assert card.now in text
    for zone, trips in report.busiest:
        assert zone in text
        assert f"{trips:,}" in text
    assert "Swipe sideways" not in text, "nobody swipes paper"


def test_the_pdf_has_contents_with_the_pages_on_which_sections_begin(pdf: PdfReader) -> None:
    texts = [page.extract_text() for page in pdf.pages]
    entries = re.findall(r"^(.+?)\.{3,} *(\d+)$", texts[0], re.MULTILINE)
    titles = [str(item["/Title"]) for item in pdf.outline if isinstance(item, Mapping)]
    (sections,) = [item for item in pdf.outline if isinstance(item, list)]
    assert titles == ["New York by taxi, February 2023"]
    assert len(entries) >= 9
    assert [title.strip() for title, _ in entries] == [str(item["/Title"]) for item in _top(sections)][1:]
    for title, number in entries:
        assert title.strip() in texts[int(number) - 1], f"{title} is not on page {number}"
    for number, text in enumerate(texts, start=1):
        assert f"{number} of {len(texts)}" in text


def _top(outline: list[Any]) -> list[Any]:
    return [item for item in outline if not isinstance(item, list)]


def test_the_pdf_holds_its_fonts_and_its_numbers(reported: Pipeline, pdf: PdfReader) -> None:
    pages: Any = pdf.pages
    root: Any = pdf.root_object
    fonts = {
        str(descendant.get_object()["/BaseFont"]).partition("+")[2]: descendant.get_object()["/FontDescriptor"]
        for page in pages
        for font in page["/Resources"]["/Font"].values()
        for descendant in font.get_object()["/DescendantFonts"]
    }
    assert set(fonts) == {"DejaVu-Sans", "DejaVu-Sans-Bold"}
    assert all({"/FontFile2", "/FontFile3"} & set(descriptor.get_object()) for descriptor in fonts.values())
    assert pdf.attachments == {"2023-02.csv": [reported.files.read(NAMES[1])]}
    assert root["/MarkInfo"]["/Marked"], "for those who hear it"
    assert root["/Lang"] == "en"


def test_the_pdf_s_drawings_have_the_page_s_colours(pdf: PdfReader) -> None:
    """The library knows neither the page's styles nor its variables in drawings: they would be black."""
    (days, *_) = [page.get_contents().get_data().decode("latin-1") for page in pdf.pages]  # type: ignore[union-attr]
    weekday, weekend = (
        " ".join(f"{int(color[n : n + 2], 16) / 255:.4f}".rstrip("0") for n in (1, 3, 5))
        for color in ("#225ea8", "#c4561b")
    )
    counted = {
        name: len(re.findall(rf"(?m)^{_numbers(color)} rg$", days))
        for name, color in (("weekday", weekday), ("weekend", weekend))
    }
    assert counted["weekday"] >= 20
    assert counted["weekend"] >= 8


def _numbers(color: str) -> str:
    return r"\s".join(rf"{re.escape(part[:5])}\d*" for part in color.split())


def test_the_pdf_is_the_same_bytes_in_another_process_at_another_time(
    reported: Pipeline, tmp_path: Path, pdf: PdfReader
) -> None:
    code = (
        "import sys, datetime, hashlib, pathlib\n"
        "from taxi_pipeline.outputs.monthly_report.paper import pdf_of\n"
        "page, numbers = (pathlib.Path(name).read_text() for name in sys.argv[1:])\n"
        "print(hashlib.sha256(pdf_of(page, numbers, datetime.date(2023, 2, 1))).hexdigest())\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, *(str(reported.folder / name) for name in NAMES)],
        cwd=tmp_path,
        env={**os.environ, "TZ": "Asia/Tokyo", "HOME": str(tmp_path), "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == hashlib.sha256(reported.files.read("outputs/reports/2023-02.pdf")).hexdigest()


def test_without_a_report_there_is_no_pdf_and_it_says_what_to_do(tmp_path: Path) -> None:
    result = pipeline_in(tmp_path, tmp_path).report(monthly_report_pdf, "2023-02-01")
    assert not result.success
    assert "2023-02.html does not exist: materialize monthly_report first" in error_of(result)


class _WithoutPango(importlib.abc.MetaPathFinder):
    """What the import of the library does where Pango is missing."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0': error 0x7e.  Additionally, …\nmore")


def test_without_pango_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_WithoutPango(), *sys.meta_path])
    with pytest.raises(NoPdfError, match=r"libpango-1\.0-0'.*apt-get install libpango") as error:
        pdf_of("<html></html>", "", MONTH)
    assert "\n" not in str(error.value)


# What a mail says


def test_the_mail_has_the_finding_the_numbers_three_charts_and_the_pdf(written: Pipeline) -> None:
    assert written.report(monthly_report_pdf, "2023-02-01").success
    report = read_report(*(written.files.read_text(name) for name in NAMES))
    with sending(replace(written, pages=Pages("https://pages.example.com"))) as (server, pipeline):
        facts = facts_of(send(pipeline))
    (message,), (recipients,) = server.messages, server.recipients
    assert sorted(recipients) == [DESK, MAYOR]
    assert facts["sent_to"] == f"{DESK}, {MAYOR}"
    assert message["From"] == f"New York by taxi <{SENDER}>"
    assert message["To"] == f"{DESK}, {MAYOR}"
    assert message["Subject"] == "New York by taxi, February 2023, synthetic data"
    assert re.fullmatch(r"<report-2023-02-[0-9a-f]{16}@example\.com>", message["Message-ID"])
    assert abs(message["Date"].datetime - datetime.now().astimezone()) < timedelta(hours=1)
    parts = parts_of(message)
    (text,), (html,) = ([part.get_content() for part in parts[kind]] for kind in ("text/plain", "text/html"))
    for body in (text, html):
        assert report.finding in body
        assert "Synthetic data." in body
        assert "https://pages.example.com/reports/2023-02.html" in body
        assert all(card.title in body and card.now in body for card in report.cards)
    shown = re.findall(r'src="cid:([^"]+)"', html)
    assert [part["Content-ID"] for part in parts["image/png"]] == [f"<{cid}>" for cid in shown]
    assert len(shown) == 3
    assert len({part.get_content() for part in parts["image/png"]}) == 3
    (attached,) = parts["application/pdf"]
    assert attached.get_filename() == "new-york-by-taxi-2023-02.pdf"
    assert attached.get_content() == written.files.read("outputs/reports/2023-02.pdf")
    assert "<script" not in html
    assert "http" not in html.replace("https://pages.example.com/reports/2023-02.html", ""), "it loads nothing"


def test_what_is_read_back_is_what_was_counted(reported: Pipeline) -> None:
    report = read_report(*(reported.files.read_text(name) for name in NAMES))
    counted = reported.rows("SELECT pickup_date, count(*) FROM trips GROUP BY ALL")
    assert report.trips_per_day == dict(counted)
    hours = reported.rows("SELECT dayofweek(pickup_date), hour(pickup_datetime), count(*) / 4 FROM trips GROUP BY ALL")
    assert report.trips_per_hour == {(weekday, hour): pytest.approx(trips) for weekday, hour, trips in hours}
    zones = reported.rows(
        "SELECT zone, count(*) FROM trips JOIN zones ON zone_id = pickup_zone_id GROUP BY ALL ORDER BY 2 DESC, 1"
    )
    assert sorted(trips for _, trips in report.busiest) == sorted(trips for _, trips in zones[:10])
    assert set(report.busiest) <= set(zones)


def test_text_of_files_can_not_become_part_of_the_mail(written: Pipeline) -> None:
    page, numbers = (written.files.read_text(name) for name in NAMES)
    report = replace(read_report(page, numbers), finding="<b>&\r\nBcc: all@example.com", notes=["<img src=x>"])
    mail = mail_of(
        report, b"%PDF", month=MONTH, version="0" * 64, sender=SENDER, recipients=[DESK], link=None, corrected=False
    )
    (html,) = [part.get_content() for part in parts_of(mail)["text/html"]]
    assert mail["Bcc"] is None
    assert "&lt;b&gt;&amp;" in html
    assert "<img src=x>" not in html


# Once for each version


def test_a_version_is_sent_once_and_a_new_one_again(written: Pipeline) -> None:
    first, numbers = written.files.read_text(NAMES[1]), written.folder / NAMES[1]
    with sending(written) as (server, pipeline):
        assert facts_of(send(pipeline))["sent"] == 2
        again = facts_of(send(pipeline))
        assert (again["sent"], again["had_it"]) == (0, f"{DESK}, {MAYOR}")
        numbers.write_text(first + "charged,more,1\n")
        assert facts_of(send(pipeline))["sent"] == 2
        numbers.write_text(first)
        assert facts_of(send(pipeline))["sent"] == 0, "they had that one"
    assert [message["Subject"].endswith("(new numbers), synthetic data") for message in server.messages] == [
        False,
        True,
    ]
    assert len({message["Message-ID"] for message in server.messages}) == 2


def test_a_page_that_only_links_to_others_is_no_new_version(written: Pipeline) -> None:
    page = written.folder / NAMES[0]
    with sending(written) as (server, pipeline):
        assert facts_of(send(pipeline))["sent"] == 2
        page.write_text(page.read_text().replace("<nav aria", '<nav data-more="" aria'))
        assert facts_of(send(pipeline))["sent"] == 0
    assert len(server.messages) == 1


def test_a_new_recipient_gets_it_alone(written: Pipeline) -> None:
    with sending(written, DESK) as (server, pipeline):
        assert facts_of(send(pipeline))["sent"] == 1
        both = replace(pipeline, postbox=replace(pipeline.postbox, recipients=(DESK, MAYOR)))
        assert facts_of(send(both))["sent_to"] == MAYOR
    assert server.recipients == [[DESK], [MAYOR]]


def test_again_sends_it_again(written: Pipeline) -> None:
    with sending(written) as (server, pipeline):
        assert facts_of(send(pipeline))["sent"] == 2
        assert facts_of(send(pipeline, again=True))["sent"] == 2
    assert len(server.messages) == 2


def _send_in_a_process(folder: Path, port: int) -> None:
    delivery.new_york_today = lambda: date(2023, 4, 11)
    pipeline = with_postbox(pipeline_in(folder, folder / "no-mirror"), SmtpServer("127.0.0.1", port, tls="none"))
    send(pipeline)


def test_two_runs_at_once_send_one_mail(written: Pipeline) -> None:
    with sending(written) as (server, _):
        runs = [process(_send_in_a_process, written.folder, server.port) for _ in range(2)]
        for run in runs:
            run.join(60)
            assert run.exitcode == 0
    assert len(server.messages) == 1


def test_a_process_that_is_killed_while_it_hands_over_leaves_a_mark_and_nothing_is_sent_twice(
    written: Pipeline, tmp_path: Path
) -> None:
    """The server has the mail, and the process that sent it did not live to hear so."""
    there = tmp_path / "there"
    with sending(written) as (server, pipeline):
        server.before_answer = there.touch
        sender = process(_send_and_stop_before_the_answer, written.folder, server.port)
        wait_for_file(there, sender)
        sender.kill()
        sender.join()
        server.before_answer = lambda: None
        result = send(pipeline)
        assert not result.success
        assert num_tries(result) == 1
        assert f"Nobody knows whether version {_version(written)} has reached {DESK}, {MAYOR}" in error_of(result)
        assert "materialize with unknown_again: true" in error_of(result)
        assert len(server.messages) == 1
        assert facts_of(send(pipeline, again=True))["sent"] == 2
        assert facts_of(send(pipeline))["sent"] == 0
    assert len(server.messages) == 2


def _send_and_stop_before_the_answer(folder: Path, port: int) -> None:
    """Send, and stop all threads of this process as soon as the mail's last byte is on its way."""
    import smtplib
    import time

    real = smtplib.SMTP.send

    def send_and_wait(connection: smtplib.SMTP, content: Any) -> None:
        real(connection, content)
        if isinstance(content, bytes) and content.endswith(b"\r\n.\r\n"):
            time.sleep(60)

    smtplib.SMTP.send = send_and_wait  # type: ignore[method-assign]
    _send_in_a_process(folder, port)


def _version(pipeline: Pipeline) -> str:
    return pipeline.files.describe(NAMES[1]).sha256[:12]


def test_a_record_that_is_none_stops_the_sending(written: Pipeline) -> None:
    path = written.folder / RECORD
    path.parent.mkdir(parents=True)
    for content in ("", "[]", '{"a": {"b": "sent"}}', '{"a": {"b": {"state": "sent"}}}'):
        path.write_text(content)
        with sending(written) as (server, pipeline):
            result = send(pipeline)
        assert "is no record of deliveries" in error_of(result)
        assert server.messages == []


def test_the_record_is_not_among_the_pages(written: Pipeline) -> None:
    """It has addresses."""
    with sending(written) as (_, pipeline):
        assert facts_of(send(pipeline))["sent"] == 2
    assert not [
        path
        for path in (written.folder / "outputs").rglob("*")
        if path.is_file() and DESK.encode() in path.read_bytes()
    ]
    assert json.loads(written.files.read_text(RECORD)).keys() == {written.files.describe(NAMES[1]).sha256}


# News


@pytest.mark.parametrize(("days_after", "is_news"), [(NEWS.days - 1, True), (NEWS.days, False)])
def test_a_month_is_news_for_120_days(
    written: Pipeline, monkeypatch: pytest.MonkeyPatch, days_after: int, is_news: bool
) -> None:
    monkeypatch.setattr(delivery, "new_york_today", lambda: next_month(MONTH) + timedelta(days=days_after))
    with sending(written) as (server, pipeline), dg.DagsterInstance.ephemeral() as instance:
        result = send(pipeline, instance=instance)
        facts = facts_of(result)
        assert (facts["sent"], len(server.messages)) == ((2, 1) if is_news else (0, 0))
        if not is_news:
            assert facts["not_sent"] == "2023-02 ended more than 120 days ago: send it with old_months: true"
            log = [entry.user_message for entry in instance.all_logs(result.run_id)]
            assert f"Nothing was sent: {facts['not_sent']}" in log
            assert facts_of(send(pipeline, old_months=True))["sent"] == 2


def test_a_backfill_of_old_months_sends_only_the_new_one(written: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The month of which there is no report is old, so nobody asks for it."""
    for number in range(3, 7):
        for name in NAMES:
            shutil.copy(written.folder / name, written.folder / name.replace("2023-02", f"2023-{number:02}"))
    (written.folder / "outputs/reports/2023-03.html").unlink()
    monkeypatch.setattr(delivery, "new_york_today", lambda: date(2023, 9, 1))
    with sending(written) as (server, pipeline):
        result = send(pipeline, until="2023-06-01")
        assert result.success, error_of(result)
    sent = {made.partition: made.metadata["sent"].value for made in materializations_of(result, "monthly_report_mail")}
    assert sent == {"2023-02-01": 0, "2023-03-01": 0, "2023-04-01": 0, "2023-05-01": 2, "2023-06-01": 2}
    assert len(server.messages) == 2


def test_with_nobody_to_tell_it_fails_and_says_which_setting(written: Pipeline) -> None:
    assert "TAXI_MAIL_TO names no address" in error_of(send(written))
    assert "TAXI_CHAT_URLS names no chat" in error_of(send(written, monthly_report_message))


# Refusals


def test_capital_letters_make_no_other_recipient(written: Pipeline) -> None:
    with sending(written, DESK) as (server, pipeline):
        assert facts_of(send(pipeline))["sent"] == 1
        facts = facts_of(send(with_postbox(pipeline, pipeline.postbox.server, DESK.upper())))
        assert (facts["sent"], facts["had_it"]) == (0, DESK.upper())
    assert len(server.messages) == 1


def test_a_record_with_capital_letters_of_an_older_version_counts(written: Pipeline) -> None:
    with sending(written, "Desk@Example.com") as (server, pipeline):
        facts_of(send(pipeline))
        record = json.loads(written.files.read_text(RECORD))
        ((version, states),) = record.items()
        written.files.write(RECORD, json.dumps({version: {"Desk@Example.com": states[DESK]}}))
        assert facts_of(send(pipeline))["sent"] == 0
    assert len(server.messages) == 1


def test_who_is_refused_keeps_no_other_from_the_mail(written: Pipeline) -> None:
    with sending(written) as (server, pipeline):
        server.answers[MAYOR] = "550 5.1.1 No such user here"
        result = send(pipeline)
        assert f"2023-02 was not sent to {MAYOR}: 550 5.1.1 No such user here" in error_of(result)
        assert num_tries(result) == 1
        assert server.recipients == [[DESK]]
        del server.answers[MAYOR]
        assert facts_of(send(pipeline))["sent_to"] == MAYOR
    assert server.recipients == [[DESK], [MAYOR]]


@pytest.mark.parametrize(
    ("answers", "said", "tries"),
    [
        ({DESK: "550 No", MAYOR: "551 Gone"}, "refuses all recipients: desk@example.com: 550 No; mayor@", 1),
        ({"MAIL": "553 Not from here"}, "answers 553 Not from here (to the sender)", 1),
        ({"DATA": "554 Looks like spam"}, "answers 554 Looks like spam (to the message)", 1),
        ({"DATA": "451 Try again later"}, "answers 451 Try again later (to the message)", 2),
        (
            {DESK: "450 Greylisted", MAYOR: "550 No"},
            "refuses all recipients: desk@example.com: 450 Greylisted; mayor@",
            2,
        ),
        ({"MAIL": "421 Too busy"}, "answers 421 Too busy (to the sender)", 2),
        ({"DATA": f"554 {'x' * 400}"}, "xxx…", 1),
    ],
)
def test_what_the_server_refuses_is_sent_when_it_takes_it(
    written: Pipeline, answers: dict[str, str], said: str, tries: int
) -> None:
    """Only what is worth a retry is tried again, and nobody counts as told."""
    with sending(written) as (server, pipeline):
        server.answers = answers
        result = send(pipeline)
        assert said in error_of(result)
        assert (num_tries(result), server.num_tries) == (tries, tries)
        assert server.messages == []
        server.answers = {}
        assert facts_of(send(pipeline))["sent"] == 2
    assert len(server.messages) == 1


def test_who_is_asked_to_come_later_keeps_no_other_from_the_mail(written: Pipeline) -> None:
    """Regression: one full mailbox kept everybody waiting."""
    with sending(written) as (server, pipeline):
        server.answers[MAYOR] = "452 4.2.2 Mailbox full"
        result = send(pipeline)
        assert f"{MAYOR}: 452 4.2.2 Mailbox full" in error_of(result)
        assert num_tries(result) == 2, "it may pass"
        assert server.recipients == [[DESK]]
        del server.answers[MAYOR]
        assert facts_of(send(pipeline))["sent_to"] == MAYOR
    assert server.recipients == [[DESK], [MAYOR]]


def test_a_mail_that_is_too_large_is_refused_before_it_is_sent(written: Pipeline) -> None:
    with sending(written, data_size_limit=10_000) as (server, pipeline):
        result = send(pipeline)
    assert "answers 552 Error: message size exceeds fixed maximum message size" in error_of(result)
    assert num_tries(result) == 1
    assert server.messages == []


def test_a_server_that_is_down_is_asked_again(written: Pipeline) -> None:
    result = send(with_postbox(written, SmtpServer("127.0.0.1", 9, tls="none")))
    assert (
        "2023-02 was sent to nobody. The mail server 127.0.0.1:9 can't be reached: ConnectionRefusedError"
        in error_of(result)
    )
    assert num_tries(result) == 2
    assert not written.files.exists(RECORD)


def test_a_mail_that_a_retry_brings_is_one_mail(written: Pipeline) -> None:
    with sending(written) as (server, pipeline):
        server.answers["DATA"] = "451 Later"
        real = server.handle_DATA

        async def later(*given: Any) -> str:
            answer = await real(*given)
            server.answers.clear()
            return answer

        server.handle_DATA = later  # type: ignore[method-assign]
        result = send(pipeline)
        assert facts_of(result)["sent"] == 2
        assert num_tries(result) == 2
    assert len(server.messages) == 1


# Servers that lie or are slow

GREETING, OK, GO_ON = b"220 mail.example.com\r\n", b"250 OK\r\n", b"354 Go on\r\n"
TO_DATA = (GREETING, OK, OK, OK)
"""Greeting, and the answers to EHLO, MAIL and RCPT."""


@pytest.mark.parametrize(
    ("steps", "kind", "said"),
    [
        ((b"220 mail", *(b"x", 0.1) * 100), DeliveryDelayedError, "TimeoutError: it was not over within 1 s"),
        ((5.0,), DeliveryDelayedError, "can't be reached: .*timed out"),
        ((b"220 mail\r\n",), DeliveryDelayedError, "can't be reached: SMTPServerDisconnected"),
        ((b"HTTP/1.1 400 Bad Request\r\n",), DeliveryError, "can't be reached|answers"),
        ((b"554 Go away\r\n",), DeliveryError, "answers 554 Go away"),
        ((*TO_DATA, GO_ON), DeliveryUnknownError, "did not say that it has it: SMTPServerDisconnected"),
        ((*TO_DATA, GO_ON, 5.0), DeliveryUnknownError, "did not say that it has it: .*(timed out|not over within)"),
        ((*TO_DATA, GO_ON, *(b"2", 0.1) * 100), DeliveryUnknownError, "did not say that it has it: TimeoutError"),
        ((*TO_DATA, GO_ON, b"what?\r\n"), DeliveryUnknownError, "did not say that it has it"),
        ((*TO_DATA, GO_ON, b"354 More\r\n"), DeliveryUnknownError, "did not say that it has it"),
        ((*TO_DATA, GO_ON, b"550 Spam\r\n"), DeliveryError, "answers 550 Spam"),
        ((*TO_DATA, GO_ON, b"421 Closing\r\n"), DeliveryDelayedError, "answers 421 Closing"),
        ((*TO_DATA, b"503 No recipients\r\n"), DeliveryError, "answers 503 No recipients"),
    ],
)
def test_whatever_a_server_does_the_call_ends_and_says_whether_it_may_have_arrived(
    steps: tuple[bytes | float, ...], kind: type[Exception], said: str
) -> None:
    accepted: list[str] = []
    with scripted_server(*steps) as port:
        server = SmtpServer("127.0.0.1", port, tls="none", answer_seconds=0.7, whole_seconds=1)
        with pytest.raises((DeliveryError, DeliveryUnknownError), match=said) as error:
            server.send(_letter(), SENDER, [DESK], before_handover=accepted.extend)
    assert type(error.value) is kind
    if kind is DeliveryUnknownError:
        assert accepted == [DESK], "the mark is there before the first byte"


def _letter() -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "A letter"
    message.set_content("Dear reader\n.\nThe end.\n")
    return message


def test_when_the_mark_can_not_be_written_nothing_is_sent(written: Pipeline) -> None:
    (written.folder / "staging").mkdir()
    (written.folder / FOLDER).write_text("a file where the folder should be")
    with sending(written) as (server, pipeline):
        result = send(pipeline)
    assert not result.success
    assert server.messages == []


# Encryption and logins


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate for localhost that this process trusts."""
    certificate = certificate_in(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return certificate


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it means STARTTLS
@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_mail_goes_encrypted_to_a_user_s_server(written: Pipeline, trusted: Path, tls: str, in_a_file: bool) -> None:
    file = written.folder / "password"
    file.write_text(f"{PASSWORD}\n")
    with mail_server(tls, trusted) as server:
        smtp = SmtpServer("localhost", server.port, tls=tls, user="taxi", password=PASSWORD)
        smtp = replace(smtp, password="", password_file=file) if in_a_file else smtp
        assert facts_of(send(with_postbox(written, smtp)))["sent"] == 2
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "not-the-one"}, "answers 535 5.7.8 Authentication credentials invalid"),
        ({"host": "127.0.0.1"}, "can't be spoken to by TLS: SSLCertVerificationError"),
        (
            {"password_file": Path("/no/such/file")},
            "/no/such/file (TAXI_SMTP_PASSWORD_FILE) can't be read: FileNotFoundError",
        ),
        ({"password": "пароль-not-the-one"}, "has characters beyond ASCII, with which no login is tried"),
        ({"tls": "tls"}, "can't be spoken to by TLS: SSLError"),
    ],
)
def test_a_login_that_fails_is_not_tried_again_and_shows_no_password(
    written: Pipeline, trusted: Path, change: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with mail_server("starttls", trusted) as server:
        smtp = replace(SmtpServer("localhost", server.port, user="taxi", password=PASSWORD), **change)
        result = send(with_postbox(written, smtp))
    assert said in error_of(result)
    assert num_tries(result) == 1
    assert server.messages == []
    everything = "\n".join([caplog.text, *map(repr, result.all_events), error_of(result), repr(smtp)])
    for secret in (PASSWORD, "not-the-one"):
        assert secret not in everything


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty, but must hold the password"),
        (b"\n", "is empty, but must hold the password"),
        (f"{PASSWORD}\nuser: taxi\n".encode(), "has 2 lines, but must have one, the password"),
        ("schlüssel\n".encode(), "has characters beyond ASCII, with which no login is tried"),
        ("schlüssel\n".encode("latin-1"), "can't be read: UnicodeDecodeError"),
    ],
)
def test_a_file_without_one_password_is_refused(
    written: Pipeline, trusted: Path, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "password").write_bytes(content)
    with mail_server("starttls", trusted) as server:
        smtp = SmtpServer("localhost", server.port, user="taxi", password_file=tmp_path / "password")
        result = send(with_postbox(written, smtp))
    assert said in error_of(result)
    assert num_tries(result) == 1
    for secret in (PASSWORD, "schl"):
        assert secret not in error_of(result)


@pytest.mark.parametrize("content", [f"{PASSWORD}\r\n".encode(), b"\xef\xbb\xbf" + PASSWORD.encode()])
def test_a_password_file_of_another_system_is_read(
    written: Pipeline, trusted: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "password").write_bytes(content)
    with mail_server("starttls", trusted) as server:
        smtp = SmtpServer("localhost", server.port, user="taxi", password_file=tmp_path / "password")
        assert facts_of(send(with_postbox(written, smtp)))["sent"] == 2


def test_a_certificate_that_nobody_vouches_for_is_refused(written: Pipeline, tmp_path: Path) -> None:
    with mail_server("starttls", certificate_in(tmp_path)) as server:
        smtp = SmtpServer("localhost", server.port, user="taxi", password=PASSWORD)
        result = send(with_postbox(written, smtp))
    assert "certificate verify failed" in error_of(result)
    assert "trusted when SSL_CERT_FILE names it" in error_of(result)


def test_a_server_without_encryption_gets_nothing_in_the_clear(written: Pipeline) -> None:
    with mail_server() as server:
        result = send(with_postbox(written, SmtpServer("127.0.0.1", server.port, tls="starttls")))
    assert "lacks what is needed: SMTPNotSupportedError: STARTTLS" in error_of(result)
    assert (server.num_tries, server.messages) == (0, [])


# Chats


def test_a_chat_gets_the_finding_once(written: Pipeline) -> None:
    with faulty_server() as server:
        chats = Chats([server.url.replace("http://", "json://") + "/hook/a-secret"])
        pipeline = replace(written, chats=chats, pages=Pages("https://pages.example.com"))
        facts = facts_of(send(pipeline, monthly_report_message), "monthly_report_message")
        assert facts["sent"] == 1
        assert facts_of(send(pipeline, monthly_report_message), "monthly_report_message")["sent"] == 0
    (message,) = [json.loads(body) for body in server.posted]
    report = read_report(*(written.files.read_text(name) for name in NAMES))
    assert message["title"] == "New York by taxi, February 2023"
    assert report.finding in message["message"]
    assert "Synthetic data." in message["message"]
    assert message["message"].endswith("https://pages.example.com/reports/2023-02.html")
    assert re.fullmatch(r"json-[0-9a-f]{8}", str(facts["sent_to"]))
    assert "a-secret" not in written.files.read_text(f"{FOLDER}/monthly_report_message/2023-02.json")


def test_a_chat_that_is_down_keeps_no_other_waiting_and_is_tried_by_the_next_run(
    written: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    with faulty_server() as server, faulty_server() as other:
        server.answers["/a-secret"] = [Answer(500), Answer(200)]
        urls = [f"{each.url.replace('http://', 'json://')}/a-secret" for each in (server, other)]
        pipeline = replace(written, chats=Chats(urls))
        result = send(pipeline, monthly_report_message)
        assert "has not taken the message: try its address in TAXI_CHAT_URLS with apprise -vv" in error_of(result)
        assert "a-secret" not in "\n".join([caplog.text, *map(repr, result.all_events)])
        assert facts_of(send(pipeline, monthly_report_message), "monthly_report_message")["sent"] == 1
    assert (len(server.posted), len(other.posted)) == (2, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_chat_whose_server_redirects_has_not_taken_the_message(written: Pipeline, status: int) -> None:
    """After most redirects a client asks with GET, without the message, and is answered with a page."""
    with faulty_server() as server:
        server.answers["/hook"] = [Answer(status, headers={"Location": f"{server.url}/elsewhere"})]
        server.answers["/elsewhere"] = [Answer(200, b"welcome")]
        chats = Chats([server.url.replace("http://", "json://") + "/hook"])
        pipeline = replace(written, chats=chats)
        (name,) = chats.names
        assert f"{name} has not taken the message" in error_of(send(pipeline, monthly_report_message))
        assert server.asked("/elsewhere") == []
        server.answers["/hook"] = [Answer(200)]
        assert facts_of(send(pipeline, monthly_report_message), "monthly_report_message")["sent"] == 1


def test_an_address_that_apprise_does_not_know_is_named_without_its_tokens() -> None:
    chats = Chats(["nosuchservice://a-secret/"])
    (name,) = chats.names
    with pytest.raises(
        DeliveryError, match=f"{name} is no address that apprise knows: correct TAXI_CHAT_URLS"
    ) as error:
        chats.post(name, "title", "text")
    assert "a-secret" not in str(error.value)
    assert "a-secret" not in repr(chats)


def test_without_the_extra_a_chat_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    chats = Chats(["json://127.0.0.1:9/"])
    (name,) = chats.names
    with pytest.raises(DeliveryError, match=r"pip install 'taxi-pipeline\[delivery\]'"):
        chats.post(name, "title", "text")


def test_failed_runs_are_told_to_the_webhook_and_to_chats() -> None:
    with faulty_server() as server, faulty_server() as chat:
        chat_url = chat.url.replace("http://", "json://") + "/chat"
        alerts = Alerts(f"{server.url}/hook", Chats([chat_url, "json://127.0.0.1:9/a-secret"]), limit_seconds=30)
        text = "Run of daily_trips failed\nhttp://127.0.0.1:3000/runs/1"
        (problem,) = alerts.post({"text": text})
    assert re.search(r"could not be sent to json-\w{8}: json-\w{8} has not taken the message", problem)
    assert "a-secret" not in problem
    assert [json.loads(body)["text"] for body in server.posted] == [text]
    assert [json.loads(body)["message"] for body in chat.posted] == [text]


# The record by itself


def test_who_may_have_had_it_keeps_no_other_waiting(tmp_path: Path) -> None:
    files = pipeline_in(tmp_path, tmp_path).files
    record = Record(files, "a/b")

    def take(recipients: Any, before_handover: Callable[..., None]) -> dict[str, Refusal]:
        before_handover(recipients)
        return {}

    def vanish(recipients: Any, before_handover: Callable[..., None]) -> dict[str, Refusal]:
        before_handover(recipients)
        raise KeyboardInterrupt

    record.deliver("1", ["alice"], take)
    with pytest.raises(KeyboardInterrupt):
        record.deliver("1", ["alice", "dave"], vanish)
    third = record.deliver("1", ["alice", "dave", "erin"], take)
    assert (third.sent, third.had_it) == (["erin"], ["alice"])
    assert "Nobody knows whether version 1 has reached dave" in third.unknown
    fourth = record.deliver("1", ["alice", "dave", "erin"], take, unknown_again=True)
    assert (fourth.sent, fourth.had_it, fourth.unknown) == (["dave"], ["alice", "erin"], "")
    assert record.deliver("1", ["alice", "dave", "erin"], take).had_it == ["alice", "dave", "erin"]


def test_the_record_keeps_what_another_version_did(tmp_path: Path) -> None:
    files = pipeline_in(tmp_path, tmp_path).files
    record = Record(files, "a/b")
    calls: list[list[str]] = []

    def take(recipients: Any, before_handover: Callable[..., None]) -> dict[str, Refusal]:
        before_handover(recipients)
        calls.append(list(recipients))
        return {}

    def fail(recipients: Any, before_handover: Callable[..., None]) -> dict[str, Refusal]:
        before_handover(recipients)
        raise DeliveryError("no")

    record.deliver("1", ["x"], take)
    with pytest.raises(DeliveryError):
        record.deliver("2", ["x"], fail)
    assert record.deliver("2", ["x", "y"], take).sent == ["x", "y"]
    with pytest.raises(DeliveryError):
        record.deliver("2", ["x"], fail, again=True)
    assert record.deliver("2", ["x"], take).had_it == ["x"], "a second sending that failed takes nothing away"
    assert record.deliver("1", ["x"], take).had_it == ["x"]
    assert calls == [["x"], ["x", "y"]]
    assert record.had_another("3")
    assert not Record(files, "a/c").had_another("3")


# In the graph


def test_without_an_extra_its_assets_are_not_in_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    other = dg.AssetSpec("other", group_name="sources")
    found = [congestion_fee, monthly_report_pdf, other]
    kept, jobs = with_optional_groups(found)
    assert kept == found
    assert [job.name for job in jobs] == ["analyses", "report_pdfs"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert with_optional_groups(found) == ([other], [])


TOLD = {
    "TAXI_MAIL_TO": DESK,
    "TAXI_MAIL_FROM": SENDER,
    "TAXI_SMTP_HOST": "mail.example.com",
    "TAXI_CHAT_URLS": "json://127.0.0.1:9/",
    "TAXI_START_DATE": "2023-01-01",
    "TAXI_END_DATE": "2024-06-30",
}


@pytest.mark.parametrize("told", [True, False])
def test_automation_sends_recent_reports_where_the_settings_say_to_whom(told: bool) -> None:
    settings = settings_of(TOLD if told else {"TAXI_START_DATE": "2023-01-01", "TAXI_END_DATE": "2024-06-30"})
    definitions = build_definitions(settings=settings)
    sends = dg.AssetSelection.groups("delivery")
    with dg.DagsterInstance.ephemeral() as instance:
        looked = dg.evaluate_automation_conditions(definitions, instance, sends)
        assert looked.total_requested == 0
        for month in ("2023-03-01", "2024-05-01"):
            instance.report_runless_asset_event(dg.AssetMaterialization("monthly_report", partition=month))
        looked = dg.evaluate_automation_conditions(definitions, instance, sends, cursor=looked.cursor)
        asked = {
            name: looked.get_requested_partitions(dg.AssetKey(name))
            for name in ("monthly_report_pdf", "monthly_report_mail", "monthly_report_message")
        }
    recent = {"2024-05-01"} if told else set()
    assert asked == {
        "monthly_report_pdf": {"2023-03-01", "2024-05-01"},
        "monthly_report_mail": recent,
        "monthly_report_message": recent,
    }
