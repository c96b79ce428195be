"""Notices on topics and buses of a double of AWS on this machine's loopback."""

import json

import boto3
import pytest

from imagebuilder.adapters.aws.notices import EventBridgeNotifier, SnsNotifier
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget
from imagebuilder.ports.notices import NoticeUndelivered, Payload
from tests.build import SOME_DAY

PAYLOAD: Payload = {
    "id": "notice-1",
    "event": "failed",
    "at": SOME_DAY.isoformat(),
    "pipeline": "nightly-web",
    "text": "pipeline nightly-web: failed (zu groß)\n" + "x" * 200,
    "run": {"id": "run-1"},
}
REGION = "eu-central-1"

pytestmark = pytest.mark.filterwarnings("default")  # the double's own


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)


def queue_of(endpoint: str, name: str) -> tuple[str, str]:
    """Give the address and the ARN of a queue that is empty."""
    sqs = boto3.client("sqs", endpoint_url=endpoint, region_name=REGION)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, asked["Attributes"]["QueueArn"]


def taken(endpoint: str, url: str) -> list[dict[str, object]]:
    """Give what came to a queue."""
    sqs = boto3.client("sqs", endpoint_url=endpoint, region_name=REGION)
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", ())]


def a_target(kind: NoticeKind, to: str) -> NoticeTarget:
    return NoticeTarget(kind=kind, to=to)


def test_sns_then_the_topic_gives_the_notice_to_its_subscribers(endpoint: str) -> None:
    sns = boto3.client("sns", endpoint_url=endpoint, region_name=REGION)
    topic = sns.create_topic(Name="images")["TopicArn"]
    url, arn = queue_of(endpoint, "of-topic")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    SnsNotifier(endpoint).send(a_target(NoticeKind.SNS, topic), PAYLOAD)

    (message,) = taken(endpoint, url)
    assert json.loads(str(message["Message"])) == PAYLOAD
    assert str(message["Subject"]).startswith("pipeline nightly-web: failed (zu gro?) xx")
    assert len(str(message["Subject"])) == 99
    attributes = message["MessageAttributes"]
    assert isinstance(attributes, dict)
    assert attributes["event"]["Value"] == "failed"


def test_sns_when_there_is_no_such_topic_then_says_what_the_service_said(endpoint: str) -> None:
    topic = f"arn:aws:sns:{REGION}:123456789012:nowhere"

    with pytest.raises(NoticeUndelivered, match="nowhere") as caught:
        SnsNotifier(endpoint).send(a_target(NoticeKind.SNS, topic), PAYLOAD)

    assert "NotFound" in caught.value.reason


def test_eventbridge_then_rules_of_the_bus_see_the_event(endpoint: str) -> None:
    events = boto3.client("events", endpoint_url=endpoint, region_name=REGION)
    bus = events.create_event_bus(Name="images")["EventBusArn"]
    url, arn = queue_of(endpoint, "of-bus")
    pattern = {"source": ["imagebuilder"], "detail": {"event": ["failed"]}}
    events.put_rule(Name="all", EventBusName="images", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="all", EventBusName="images", Targets=[{"Id": "q", "Arn": arn}])

    EventBridgeNotifier(endpoint).send(a_target(NoticeKind.EVENTBRIDGE, bus), PAYLOAD)
    EventBridgeNotifier(endpoint).send(
        a_target(NoticeKind.EVENTBRIDGE, bus), {**PAYLOAD, "event": "paused"}
    )

    (event,) = taken(endpoint, url)
    assert event["detail"] == PAYLOAD
    assert event["detail-type"] == "Imagebuilder Run State Change"


def test_eventbridge_when_a_name_is_in_no_region_then_says_so(endpoint: str) -> None:
    with pytest.raises(NoticeUndelivered, match="default") as caught:
        EventBridgeNotifier(endpoint).send(a_target(NoticeKind.EVENTBRIDGE, "default"), PAYLOAD)

    assert "region" in caught.value.reason


def test_send_when_nobody_answers_then_says_so() -> None:
    target = a_target(NoticeKind.SNS, f"arn:aws:sns:{REGION}:123456789012:images")

    with pytest.raises(NoticeUndelivered) as caught:
        SnsNotifier("http://127.0.0.1:9").send(target, PAYLOAD)

    assert "127.0.0.1:9" in caught.value.reason
