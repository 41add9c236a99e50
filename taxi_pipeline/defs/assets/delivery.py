"""Group `delivery`: the monthly report as PDF, by mail and to chats; each version once.

What a mail says is in `outputs.monthly_report`, how it is sent and recorded in `taxi_pipeline.delivery`.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from taxi_pipeline.defs.assets.reports import numbers_file, pdf_file, report_file
from taxi_pipeline.defs.automation import MESSAGE
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.deliveries import GROUP, NEWS, recent_report_updated, report_updated
from taxi_pipeline.defs.metadata import file_metadata, link, per_partition
from taxi_pipeline.defs.partitions import monthly_partitions, windows_of, windows_policy
from taxi_pipeline.defs.resources import ChatsParam, FilesParam, PagesParam, PostboxParam
from taxi_pipeline.defs.retries import StepFailure
from taxi_pipeline.delivery.chat import Chats, as_plain_text
from taxi_pipeline.delivery.errors import DeliveryDelayedError, DeliveryError, DeliveryUnknownError
from taxi_pipeline.delivery.record import Delivery, Handover, Record, Refusal
from taxi_pipeline.delivery.smtp import Postbox
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.required_files import require_file
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.months import new_york_today, next_month

RETRIES = dg.RetryPolicy(max_retries=3, delay=60, backoff=dg.Backoff.EXPONENTIAL)
"""Retries of a mail server that can't be reached, or asks to try later. What it refuses is not tried again."""


class Asked(dg.Config):
    """What somebody asks for who starts the run. Automation asks for nothing."""

    old_months: bool = Field(default=False, description="Send months, too, that are no news any more.")
    again: bool = Field(default=False, description="Send it to those, too, who had it or may have had it.")
    unknown_again: bool = Field(
        default=False, description="Send it to those, too, of whom nobody knows whether they had it."
    )


@dg.asset(
    group_name=GROUP,
    partitions_def=monthly_partitions,
    backfill_policy=windows_policy,
    deps=["monthly_report"],
    automation_condition=report_updated,
    kinds={"pdf"},
    tags={"output": "page"},
)
def monthly_report_pdf(context: dg.AssetExecutionContext, files: FilesParam, pages: PagesParam) -> dg.MaterializeResult:
    """outputs/reports/YYYY-MM.pdf: the monthly report on paper, with contents and page numbers; its CSV is attached."""
    for month in windows_of(context):
        spent = Cost()
        with files.lock(pdf_file(month)):
            file = files.write(pdf_file(month), _on_paper(files, month))
        per_partition(
            context,
            {
                str(month): {
                    **file_metadata(file),
                    **link(file, pages),
                    **spent.so_far(bytes_written=file.size_bytes),
                }
            },
        )
    return dg.MaterializeResult(metadata={"months": len(context.partition_keys)})


def build_mail(*, retries: dg.RetryPolicy = RETRIES) -> dg.AssetsDefinition:
    """Build the asset that sends the report by mail.

    Args:
        retries: how often a server that can't be reached is asked again.
    """

    @dg.asset(
        group_name=GROUP,
        partitions_def=monthly_partitions,
        backfill_policy=windows_policy,
        deps=["monthly_report"],
        automation_condition=recent_report_updated,
        retry_policy=retries,
        kinds={"email"},
        tags={"output": MESSAGE},
    )
    def monthly_report_mail(
        context: dg.AssetExecutionContext, config: Asked, files: FilesParam, pages: PagesParam, postbox: PostboxParam
    ) -> dg.MaterializeResult:
        """The monthly report by mail to TAXI_MAIL_TO: finding, numbers, three charts, and the PDF.

        Each version of a report's numbers is sent once to each recipient, also after a retry or a second run. Months
        that ended more than 120 days ago are sent only when somebody asks for them: old_months in the run's config.
        """
        if not postbox.recipients:
            raise StepFailure("Nobody gets the report: TAXI_MAIL_TO names no address", allow_retries=False)

        def deliver(month: date) -> Delivery:
            return _mail(month, files, pages, postbox, config)

        return _deliver_months(context, config, deliver)

    return monthly_report_mail


monthly_report_mail = build_mail()


@dg.asset(
    group_name=GROUP,
    partitions_def=monthly_partitions,
    backfill_policy=windows_policy,
    deps=["monthly_report"],
    automation_condition=recent_report_updated,
    kinds={"chat"},
    tags={"output": MESSAGE},
)
def monthly_report_message(
    context: dg.AssetExecutionContext, config: Asked, files: FilesParam, pages: PagesParam, chats: ChatsParam
) -> dg.MaterializeResult:
    """The finding of the monthly report, with a link, as a message to the chats of TAXI_CHAT_URLS.

    Each version once, and old months only when asked for, as the mail.
    """
    if not chats.urls:
        raise StepFailure("Nobody gets the message: TAXI_CHAT_URLS names no chat", allow_retries=False)

    def deliver(month: date) -> Delivery:
        return _message(month, files, pages, chats, config)

    return _deliver_months(context, config, deliver)


def _deliver_months(
    context: dg.AssetExecutionContext, asked: Asked, deliver: Callable[[date], Delivery]
) -> dg.MaterializeResult:
    """Deliver each month that is news or asked for; the metadata says what became of it.

    Raises:
        StepFailure: a month was not delivered to everybody.
    """
    today = new_york_today()
    problems: list[str] = []
    may_pass = False
    for month in windows_of(context):
        if today - next_month(month) >= NEWS and not asked.old_months:
            why = f"{month:%Y-%m} ended more than {NEWS.days} days ago: send it with old_months: true"
            context.log.warning(f"Nothing was sent: {why}")
            per_partition(context, {str(month): {"sent": 0, "not_sent": why}})
            continue
        try:
            delivery = deliver(month)
        except DeliveryDelayedError as error:
            raise StepFailure(f"{month:%Y-%m} was sent to nobody. {error}", allow_retries=True) from error
        except (DeliveryError, DeliveryUnknownError) as error:
            raise StepFailure(f"{month:%Y-%m}: {error}", allow_retries=False) from error
        per_partition(context, {str(month): _metadata_of(delivery)})
        problems += [f"{month:%Y-%m} was not sent to {each}: {why}" for each, why in delivery.refused.items()]
        problems += [f"{month:%Y-%m}: {delivery.unknown}"] if delivery.unknown else []
        may_pass = may_pass or any(refusal.for_now for refusal in delivery.refused.values())
    if problems:
        raise StepFailure("; ".join(problems), allow_retries=may_pass)
    return dg.MaterializeResult(metadata={"months": len(context.partition_keys)})


def _metadata_of(delivery: Delivery) -> dict[str, Any]:
    return {
        "sent": len(delivery.sent),
        "sent_to": ", ".join(delivery.sent) or "nobody",
        "had_it": ", ".join(delivery.had_it) or "nobody",
    }


def _mail(month: date, files: Storage, pages: Pages, postbox: Postbox, asked: Asked) -> Delivery:
    """Send the report of a month to those who have not had this version of its numbers."""
    from taxi_pipeline.outputs.monthly_report.mail import mail_of
    from taxi_pipeline.outputs.monthly_report.paper import pdf_of
    from taxi_pipeline.outputs.monthly_report.written import read_report

    page, numbers, version = _read(files, month)
    record = Record(files, f"monthly_report_mail/{month:%Y-%m}")

    def send(recipients: Any, before_handover: Handover) -> Mapping[str, Refusal]:
        message = mail_of(
            read_report(page, numbers),
            pdf_of(page, numbers, month),
            month=month,
            version=version,
            sender=postbox.sender,
            recipients=recipients,
            link=pages.link(report_file(month)),
            corrected=record.had_another(version),
        )
        return postbox.server.send(message, postbox.sender, recipients, before_handover=before_handover)

    return record.deliver(version, postbox.recipients, send, again=asked.again, unknown_again=asked.unknown_again)


def _message(month: date, files: Storage, pages: Pages, chats: Chats, asked: Asked) -> Delivery:
    """Send the finding of a month to those chats that have not had this version of the report's numbers."""
    from taxi_pipeline.outputs.monthly_report.written import read_report

    page, numbers, version = _read(files, month)
    report = read_report(page, numbers)
    record = Record(files, f"monthly_report_message/{month:%Y-%m}")
    corrected = record.had_another(version)
    title = f"{report.title}{' (new numbers)' if corrected else ''}"
    text = "\n".join(
        [*map(as_plain_text, [*report.notes, report.finding]), pages.link(report_file(month)) or ""]
    ).strip()
    refused: dict[str, Refusal] = {}
    unknown: list[str] = []
    sent: list[str] = []
    had_it: list[str] = []

    def send(names: Any, before_handover: Handover) -> Mapping[str, Refusal]:
        before_handover(names)
        chats.post(names[0], title, text)
        return {}

    for name in chats.names:  # each for itself: one that is down keeps no other waiting
        try:
            delivery = record.deliver(version, [name], send, again=asked.again, unknown_again=asked.unknown_again)
        except (DeliveryError, DeliveryUnknownError) as error:
            refused[name] = Refusal(str(error))
        else:
            sent += delivery.sent
            had_it += delivery.had_it
            unknown += [delivery.unknown] if delivery.unknown else []
    return Delivery(sent=sent, had_it=had_it, refused=refused, unknown="; ".join(unknown))


def _read(files: Storage, month: date) -> tuple[str, str, str]:
    """The page and the numbers of a report, of one version, and the SHA-256 of the numbers.

    Raises:
        MissingFileError: there is no report.
    """
    with files.lock(report_file(month)):
        for name in (report_file(month), numbers_file(month)):
            require_file(files, name, written_by="monthly_report")
        numbers = files.read(numbers_file(month))
        return files.read_text(report_file(month)), numbers.decode(), hashlib.sha256(numbers).hexdigest()


def _on_paper(files: Storage, month: date) -> bytes:
    from taxi_pipeline.outputs.monthly_report.paper import pdf_of

    page, numbers, _ = _read(files, month)
    return pdf_of(page, numbers, month)
