"""SnsNotifier and EventBridgeNotifier: a notice is published to a topic, or put on a bus."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from imagebuilder.adapters.aws.clients import Patience, made_client
from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.pipeline import NoticeTarget
from imagebuilder.ports.notices import NoticeUndelivered, Payload

EVENT_SOURCE = "imagebuilder"
RUN_DETAIL_TYPE = "Imagebuilder Run State Change"
PIPELINE_DETAIL_TYPE = "Imagebuilder Pipeline State Change"

_PATIENCE = Patience(connect_seconds=10, read_seconds=10, attempts=1)
_LONGEST_SUBJECT = 99
_ARN_REGION = 3
_ARN_PARTS = 6


class SnsNotifier:
    """Publishes notices to topics."""

    def __init__(self, endpoint: str | None = None) -> None:
        """Ask the service at endpoint, by default its own."""
        self._endpoint = endpoint

    def send(self, target: NoticeTarget, payload: Payload) -> None:
        """Publish a notice; the other side has it when the topic took it. Raises: as the port."""
        with _told_as_undelivered(target):
            sns = made_client("sns", self._endpoint, _PATIENCE, region=_region(target.to))
            sns.publish(
                TopicArn=target.to,
                Subject=_subject(payload),
                Message=canonical_json(payload).decode(),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": str(payload[name])}
                    for name in ("event", "pipeline", "id")
                },
            )


class EventBridgeNotifier:
    """Puts notices on buses."""

    def __init__(self, endpoint: str | None = None) -> None:
        """Ask the service at endpoint, by default its own."""
        self._endpoint = endpoint

    def send(self, target: NoticeTarget, payload: Payload) -> None:
        """Put a notice on a bus; the other side has it when the bus took it. Raises: as the port.

        Source: EventBridge API, PutEvents: what was not taken is told entry by entry, with 200.
        """
        entry: dict[str, Any] = {
            "Source": EVENT_SOURCE,
            "DetailType": RUN_DETAIL_TYPE if payload["run"] else PIPELINE_DETAIL_TYPE,
            "Detail": canonical_json(payload).decode(),
            "EventBusName": target.to,
            "Time": datetime.fromisoformat(str(payload["at"])),
        }
        with _told_as_undelivered(target):
            events = made_client("events", self._endpoint, _PATIENCE, region=_region(target.to))
            answer = events.put_events(Entries=[entry])
        if answer.get("FailedEntryCount"):
            told = json.dumps(answer["Entries"], default=str)
            raise NoticeUndelivered(target, f"The bus did not take it: {told}")


def _region(name: str) -> str | None:
    """Give the region that an ARN names; of another name boto3 knows where to look."""
    parts = name.split(":")
    return parts[_ARN_REGION] or None if len(parts) >= _ARN_PARTS and parts[0] == "arn" else None


def _subject(payload: Payload) -> str:
    """Give a subject as topics take it: ASCII, one line, fewer than 100 characters."""
    line = " ".join(str(payload["text"]).split())
    return line.encode("ascii", "replace").decode()[:_LONGEST_SUBJECT]


@contextmanager
def _told_as_undelivered(target: NoticeTarget) -> Iterator[None]:
    from botocore.exceptions import (  # noqa: PLC0415 - as boto3
        BotoCoreError,
        ClientError,
    )

    try:
        yield
    except ClientError as error:
        answer = error.response["Error"]
        reason = f"{answer.get('Code', '')}: {answer.get('Message', '')}"
        raise NoticeUndelivered(target, reason) from error
    except (BotoCoreError, ValueError) as error:
        raise NoticeUndelivered(target, str(error)) from error
