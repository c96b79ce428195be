"""One request: who asks, for what, what goes wrong on purpose, our handler or moto, the log."""

import re
import socket
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import JsonRESTError, ServiceException
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Response

from tests.aws_double import (
    ebs_direct,
    image_copying,
    image_listing,
    image_making,
    image_references,
    image_retiring,
    image_sharing,
    image_stores,
    instance_refreshes,
    key_calls,
    launch_templates,
    launching,
    organization_calls,
    parameters,
    regions,
    resource_shares,
    sessions,
    snapshot_calls,
    tagging,
)
from tests.aws_double.accounts import Caller, expired_credentials, unknown_credentials
from tests.aws_double.calls import CUT, OK, Call
from tests.aws_double.faults import ConnectionCut, Fault, Target, suffer
from tests.aws_double.operations import OPERATIONS, UNLOCKED, Asked, PassedOn
from tests.aws_double.refusals import Refusal
from tests.aws_double.wire import (
    Environ,
    Parsed,
    Scope,
    add_to_form,
    answer,
    check_parameters,
    parsed,
    refusal,
    scope_of,
)
from tests.aws_double.world import World

HANDLERS = (
    ebs_direct,
    image_copying,
    image_listing,
    image_making,
    image_references,
    image_retiring,
    image_sharing,
    image_stores,
    instance_refreshes,
    key_calls,
    launch_templates,
    launching,
    organization_calls,
    parameters,
    regions,
    resource_shares,
    sessions,
    snapshot_calls,
    tagging,
)
"""Whose import registers the operations."""

_CODE = re.compile(rb'<Code>([^<]+)</Code>|"__type": ?"(?:[^"#]*#)?([^"]+)"')
_LONGEST_SHOWN = 1024
_REGIONS = {known.name for known in RegionsAndZonesBackend.regions}


@dataclass(slots=True, kw_only=True)
class _Request:
    environ: Environ
    scope: Scope
    parsed: Parsed | None
    caller: Caller | None = None

    @property
    def operation(self) -> str:
        return self.parsed.model.name if self.parsed else str(self.environ["REQUEST_METHOD"])


class Application:
    """The double as a WSGI application."""

    def __init__(self, world: World) -> None:
        """Serve a world."""
        self.world = world
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; one without a signature is for moto alone."""
        scope = scope_of(environ)
        if scope is None:
            return Response.from_app(self._moto, environ)(environ, start)
        began = time.monotonic()
        request = _Request(environ=environ, scope=scope, parsed=parsed(environ, scope.service))
        outcome = CUT
        try:
            response, outcome = self._answered(request)
        except Refusal as refused:
            outcome = refused.code
            response = refusal(request.parsed, scope.service, refused)
        except NotImplementedError as missing:
            outcome = "NotImplemented"
            said = Refusal(
                outcome, f"Neither the double nor moto knows this: {missing}", status=501
            )
            response = refusal(request.parsed, scope.service, said)
        except ConnectionCut:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError from None
        except Exception as broken:  # noqa: BLE001 - moto's own faults are answered as AWS answers its
            traceback.print_exc()
            outcome = "InternalFailure"
            failed = Refusal(outcome, f"The double, or moto, failed: {broken!r}", status=500)
            response = refusal(request.parsed, scope.service, failed)
        finally:
            self._record(request, outcome, began)
        return response(environ, start)

    def _answered(self, request: _Request) -> tuple[Response, str]:
        unknown: Refusal | None = None
        try:
            request.caller = self._known(request.scope)
        except Refusal as refused:
            unknown = refused
        faults = self.world.faults.meeting(
            Target(
                operation=request.operation,
                service=request.scope.service,
                region=request.scope.region,
                account=request.caller.account if request.caller else "unknown",
            )
        )
        suffer(faults, request.scope.service)
        if request.scope.region not in _REGIONS:
            raise ConnectionCut  # where there is no region, there is nobody who could answer
        if unknown is not None or request.caller is None:
            raise unknown or unknown_credentials(request.scope.service)
        answered = self._done(request, request.caller, faults)
        for fault in faults:
            if fault.kind == "hold-after":
                fault.hold()
            if fault.kind == "cut-after":
                raise ConnectionCut
        return answered

    def _known(self, scope: Scope) -> Caller:
        now = self.world.clock.now()
        caller = self.world.accounts.caller(scope.access_key, scope.token, now, scope.service)
        if not self.world.accounts.is_enabled(caller.account, scope.region):
            raise unknown_credentials(scope.service)
        return caller

    def _done(self, request: _Request, caller: Caller, faults: list[Fault]) -> tuple[Response, str]:
        service, name = request.scope.service, request.operation
        if any(fault.kind == "expired" for fault in faults):
            raise expired_credentials(service)
        handler = OPERATIONS.get((service, name)) if request.parsed else None
        is_alone = service != "s3" and (service, name) not in UNLOCKED
        with self.world.lock if is_alone else nullcontext():
            if handler is not None and request.parsed is not None:
                if service != "ebs":
                    check_parameters(request.parsed)
                if request.parsed.parameters.get("DryRun"):
                    said = "Request would have succeeded, but DryRun flag is set."
                    raise Refusal("DryRunOperation", said, status=412)
                asked = Asked(
                    world=self.world,
                    caller=caller,
                    region=request.scope.region,
                    service=service,
                    operation=name,
                    parameters=request.parsed.parameters,
                )
                try:
                    return answer(request.parsed, handler(asked)), OK
                except (ServiceException, JsonRESTError) as said:
                    raise _translated(said) from said
                except PassedOn as passed:
                    if passed.more:
                        add_to_form(request.environ, passed.more)
                    return self._passed_on(request.environ, passed.account or caller.account)
            return self._passed_on(request.environ, caller.account)

    def _passed_on(self, environ: Environ, account: str) -> tuple[Response, str]:
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
        response = Response.from_app(self._moto, environ)
        if response.status_code < 400:
            return response, OK
        found = _CODE.search(response.get_data())
        return response, (found[1] or found[2]).decode() if found else response.status

    def _record(self, request: _Request, outcome: str, began: float) -> None:
        self.world.log.record(
            Call(
                service=request.scope.service,
                operation=request.operation,
                account=request.caller.account if request.caller else None,
                region=request.scope.region,
                outcome=outcome,
                parameters=_shown(request.parsed.parameters) if request.parsed else {},
                began=began,
                seconds=time.monotonic() - began,
                size_bytes=request.parsed.size_bytes if request.parsed else 0,
            )
        )


def _translated(said: ServiceException | JsonRESTError) -> Refusal:
    """Give what moto says to one of our handlers as the refusal that it is."""
    code = said.code if isinstance(said, ServiceException) else said.error_type
    return Refusal(code, said.message)


def _shown(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is long: bytes of blocks."""
    return {
        name: value
        for name, value in parameters.items()
        if not (isinstance(value, bytes) and len(value) > _LONGEST_SHOWN)
    }
