"""Parameters, secrets and metadata, of doubles on this machine's loopback."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from imagebuilder.adapters.aws.values import AwsValues
from imagebuilder.ports.values import (
    OutsideValue,
    ValueNotFound,
    ValuesRefused,
    ValuesUnavailable,
)

pytestmark = pytest.mark.filterwarnings("default")  # the double's own


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def values(endpoint: str) -> AwsValues:
    store = boto3.client("ssm", endpoint_url=endpoint)
    for name, kind, value in (
        ("/plain", "String", "hello"),
        ("/many", "StringList", "a,b"),
        ("/hidden", "SecureString", "s3cret"),
    ):
        store.put_parameter(Name=name, Type=kind, Value=value, Overwrite=True)
    return AwsValues(endpoint=endpoint)


def test_parameter_then_has_its_text_and_version_and_is_no_secret(values: AwsValues) -> None:
    found = values.parameter("/plain")
    assert (found.text, found.is_secret) == ("hello", False)
    assert int(found.version) >= 1
    assert values.parameter("/many").text == "a,b"


def test_parameter_when_it_is_secure_then_is_decrypted_and_known_as_a_secret(
    values: AwsValues,
) -> None:
    found = values.parameter("/hidden")
    assert (found.text, found.is_secret) == ("s3cret", True)


def test_parameter_when_it_names_a_secret_then_has_the_secrets_own_version(
    values: AwsValues, endpoint: str
) -> None:
    secrets = boto3.client("secretsmanager", endpoint_url=endpoint)
    made = secrets.create_secret(Name="token", SecretString="hush")
    found = values.parameter("/aws/reference/secretsmanager/token")
    assert (found.text, found.is_secret) == ("hush", True)
    assert found.version == made["VersionId"]


def test_parameter_when_it_is_not_there_then_says_so(values: AwsValues) -> None:
    with pytest.raises(ValueNotFound, match="aws:ssm:/none"):
        values.parameter("/none")


def test_account_and_region_then_are_those_of_the_credentials(values: AwsValues) -> None:
    assert (values.account(), values.region()) == ("123456789012", "eu-central-1")


def test_parameter_when_there_are_no_credentials_then_says_how_to_give_them(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ValuesRefused) as refused:
        AwsValues(endpoint=endpoint).parameter("/plain")
    assert "AWS_PROFILE" in refused.value.hint


def test_parameter_when_nobody_answers_then_may_be_tried_again() -> None:
    with pytest.raises(ValuesUnavailable):
        AwsValues(endpoint="http://127.0.0.1:9").parameter("/plain")


class Instance(BaseHTTPRequestHandler):
    """Serves metadata to who has asked for a token, as an instance's own service does."""

    def do_PUT(self) -> None:
        self._answer(200, "token")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "token":
            self._answer(401, "")
        elif self.path == "/latest/meta-data/instance-id":
            self._answer(200, "i-1")
        else:
            self._answer(404 if "none" in self.path else 500, "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the class has it so
        pass


@pytest.fixture
def instance() -> Iterator[AwsValues]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Instance) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield AwsValues(metadata=f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()


def test_metadata_then_is_asked_with_a_token(instance: AwsValues) -> None:
    assert instance.metadata("instance-id") == OutsideValue(text="i-1")


@pytest.mark.parametrize(("path", "error"), [("none", ValueNotFound), ("bad", ValuesUnavailable)])
def test_metadata_when_it_is_not_given_then_says_so(
    instance: AwsValues, path: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        instance.metadata(path)


def test_metadata_when_nobody_serves_it_then_is_unavailable() -> None:
    with pytest.raises(ValuesUnavailable):
        AwsValues(metadata="http://127.0.0.1:9").metadata("instance-id")


def test_metadata_when_an_image_is_built_here_then_is_refused() -> None:
    with pytest.raises(ValuesRefused, match="aws:imds:instance-id"):
        AwsValues().metadata("instance-id")
