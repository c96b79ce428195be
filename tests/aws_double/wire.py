"""Bytes of HTTP <-> operations, parameters, answers and refusals, by the models of botocore."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

from botocore.validate import ParamValidator
from moto.core.model import ListShape, OperationModel, Shape, StringShape, StructureShape
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from tests.aws_double.refusals import Refusal

Environ = dict[str, Any]

_CREDENTIAL: Final = re.compile(r"AWS4-HMAC-SHA256 +Credential=([^/,]+)/\d+/([^/]+)/([^/]+)/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a signature says: whose key, for which region and service."""

    access_key: str
    region: str
    service: str
    token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A request that the models know."""

    model: OperationModel
    protocol: str
    parameters: Mapping[str, Any]
    size_bytes: int


def scope_of(environ: Environ) -> Scope | None:
    """Give what the signature of a request says; None if it has none in its header."""
    found = _CREDENTIAL.match(environ.get("HTTP_AUTHORIZATION", ""))
    if not found:
        return None
    access_key, region, service = found.groups()
    token = environ.get("HTTP_X_AMZ_SECURITY_TOKEN")
    return Scope(access_key=access_key, region=region, service=service, token=token)


def parsed(environ: Environ, service: str) -> Parsed | None:
    """Give what is asked, so that the body can be read again; None: the models do not know it.

    Of what S3 is asked only names are taken, so that its bodies go by unread.
    """
    size_bytes = int(environ.get("CONTENT_LENGTH") or 0)
    if service == "s3":
        body, request = b"", Request(environ)
    else:
        body = environ["wsgi.input"].read(size_bytes)
        environ["wsgi.input"] = BytesIO(body)
        request = Request({**environ, "wsgi.input": BytesIO(body)})
    try:
        model, in_path = get_service_router(service).match(request)
    except NotFound:
        return None
    protocol = determine_request_protocol(model.service_model, request.content_type)
    parameters = in_path if service == "s3" else _parameters(request, model, body, in_path)
    return Parsed(model=model, protocol=protocol, parameters=parameters, size_bytes=size_bytes)


def _parameters(
    request: Request, model: OperationModel, body: bytes, in_path: dict[str, Any]
) -> Mapping[str, Any]:
    protocol = determine_request_protocol(model.service_model, request.content_type)
    given: Mapping[str, Any] = PROTOCOL_PARSERS[protocol](model).parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": body,
            "url_path": request.path,
            "url_params": in_path,
        }
    )
    return given


def add_to_form(environ: Environ, more: Mapping[str, str]) -> None:
    """Let the form of a request have more fields, each only once."""
    fields = dict(parse_qsl(environ["wsgi.input"].read().decode(), keep_blank_values=True))
    body = urlencode(fields | dict(more)).encode()
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))


def check_parameters(asked: Parsed) -> None:
    """Hold the parameters to the model: required ones, types, ranges and closed sets.

    Raises:
        Refusal: they are not as the model says
    """
    shape = asked.model.input_shape
    if shape is None:
        return
    report = ParamValidator().validate(asked.parameters, shape)
    wrong = list(_outside_sets(asked.parameters, shape, ""))
    if not report.has_errors() and not wrong:
        return
    said = report.generate_report() if report.has_errors() else wrong[0]
    if asked.protocol != "ec2":
        raise Refusal("ValidationException", said)
    is_missing = "Missing required parameter" in said
    raise Refusal("MissingParameter" if is_missing else "InvalidParameterValue", said)


def _outside_sets(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in value.items():
            if name in shape.members:
                yield from _outside_sets(member, shape.members[name], f"{path}.{name}")
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for member in value:
            yield from _outside_sets(member, shape.member, path)
    elif isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"Value ({value}) for parameter {path.lstrip('.')} is invalid."


def answer(asked: Parsed, said: Mapping[str, Any] | None) -> Response:
    """Give the HTTP of an answer."""
    service = asked.model.service_model.service_name
    serializer = get_serializer_class(service, asked.protocol)(asked.model)
    made = serializer.serialize(said or {})
    headers = {name: str(value) for name, value in made["headers"].items()}
    return Response(made["body"], status=made["status_code"], headers=headers)


def refusal(asked: Parsed | None, service: str, refused: Refusal) -> Response:
    """Give the HTTP of a refusal, in the words of the service's protocol."""
    protocol = asked.protocol if asked else ("rest-xml" if service == "s3" else "json")
    status = refused.status or (_modelled_status(asked.model, refused.code) if asked else 400)
    request_id = secrets.token_hex(16)
    code, message = escape(refused.code), escape(refused.message)
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    headers = {"x-amzn-requestid": request_id, "content-type": "text/xml"}
    match protocol:
        case "ec2":
            body = (
                f"<Response><Errors>{error}</Errors><RequestID>{request_id}</RequestID></Response>"
            )
        case "query":
            error = error.replace("<Error>", "<Error><Type>Sender</Type>")
            body = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
        case "rest-xml":
            body = error
        case _:
            reason = {"Reason": refused.reason} if refused.reason else {}
            said = {"__type": refused.code, "message": refused.message, **reason}
            body = json.dumps({**said, "Message": refused.message})
            headers |= {"x-amzn-errortype": refused.code, "content-type": "application/json"}
    return Response(body, status=status, headers=headers)


def _modelled_status(model: OperationModel, code: str) -> int:
    for shape in model.error_shapes:
        if code in {shape.name, shape.error_code}:
            return int(shape.metadata.get("error", {}).get("httpStatusCode", 400))
    return 400
