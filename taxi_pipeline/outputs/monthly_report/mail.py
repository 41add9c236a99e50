"""The mail with a monthly report: the finding, its numbers and three charts as HTML and as text, and the PDF.

How it is sent, and to whom, is in `delivery`.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

from taxi_pipeline.outputs.monthly_report.charts import draw_busiest, draw_days, draw_hours
from taxi_pipeline.outputs.monthly_report.written import WrittenReport
from taxi_pipeline.outputs.templates import render

_CHARTS = (
    ("days", "Trips per day", draw_days),
    ("hours", "Trips in an hour of an average day", draw_hours),
    ("busiest", "Pickups in the busiest zones", draw_busiest),
)


def mail_of(
    report: WrittenReport,
    pdf: bytes,
    *,
    month: date,
    version: str,
    sender: str,
    recipients: Sequence[str],
    link: str | None,
    corrected: bool,
) -> EmailMessage:
    """Write the mail.

    Args:
        report: what the mail says.
        pdf: the report on paper, which is attached.
        month: first day of the month.
        version: of the report's numbers, hexadecimal; mail programs see by the message's id that two are the same.
        sender: address.
        recipients: addresses.
        link: where the report is opened in a browser; None where that is nowhere.
        corrected: true if an earlier version was sent.
    """
    domain = sender.rpartition("@")[2]
    name = f"{month:%Y-%m}-{version[:16]}"
    message = EmailMessage()
    message["From"] = Address("New York by taxi", addr_spec=sender)
    message["To"] = [Address(addr_spec=recipient) for recipient in recipients]
    message["Subject"] = f"{report.title}{' (new numbers)' if corrected else ''}{_synthetic(report)}"
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<report-{name}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(report, link))
    pictures = [(f"{key}-{name}@{domain}", alt, draw(report)) for key, alt, draw in _CHARTS]
    html = render(Path(__file__).with_name("mail.html.jinja"), report=report, pictures=pictures, link=link)
    message.add_alternative(html, subtype="html")
    *_, html_part = message.iter_parts()
    for cid, _, png in pictures:
        html_part.add_related(
            png, "image", "png", cid=f"<{cid}>", filename=f"{cid.partition('-')[0]}.png", disposition="inline"
        )
    message.add_attachment(pdf, "application", "pdf", filename=f"new-york-by-taxi-{month:%Y-%m}.pdf")
    return message


def _text(report: WrittenReport, link: str | None) -> str:
    cards = [f"{card.title}: {card.now}" + "".join(f"\n  {then}" for then in card.then) for card in report.cards]
    parts = [report.title, *report.notes, report.finding, "\n".join(cards)]
    if link:
        parts.append(f"The whole report: {link}")
    parts.append(f"{report.about} The report is attached as PDF.")
    return "\n\n".join(parts) + "\n"


def _synthetic(report: WrittenReport) -> str:
    return ", synthetic data" if report.is_synthetic else ""
