"""`imagebuilder image import`."""

from pathlib import Path
from typing import Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import print_json, print_lines, told_errors
from imagebuilder.cli.progress import display
from imagebuilder.cli.stopping import stoppable
from imagebuilder.domain.errors import InvalidInput

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


_File = Annotated[
    Path | None,
    typer.Option("--file", metavar="PATH", help="A raw or qcow2 disk, or a tar file of a root."),
]
_Oci = Annotated[
    str,
    typer.Option(
        "--oci", metavar="REF", help="An image of a registry: host/name:tag or @sha256:..."
    ),
]
_Credentials = Annotated[
    str,
    typer.Option(
        "--credentials", metavar="SECRET", help="user:password, as env:NAME or file:PATH."
    ),
]
_PlainHttp = Annotated[bool, typer.Option("--plain-http", help="Ask the registry without TLS.")]
_Ami = Annotated[str, typer.Option("--ami", metavar="ID", help="An AMI, with --region: ami-0abc.")]
_Region = Annotated[str, typer.Option("--region", metavar="REGION", help="Where the AMI is.")]
_Role = Annotated[
    str, typer.Option("--role", metavar="ARN", help="The role that may read the AMI.")
]
_ExternalId = Annotated[
    str,
    typer.Option(
        "--external-id", metavar="SECRET", help="What the role asks for: env:NAME or file:PATH."
    ),
]
_Name = Annotated[str, typer.Option("--name", metavar="NAME", help="The image it becomes.")]
_Version = Annotated[
    str, typer.Option("--version", metavar="VERSION", help="Which version: 1.2.3 or 1.2.x.")
]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def import_(  # noqa: PLR0913 - typer takes each option as a parameter
    *,
    file: _File = None,
    oci: _Oci = "",
    credentials: _Credentials = "",
    plain_http: _PlainHttp = False,
    ami: _Ami = "",
    region: _Region = "",
    role: _Role = "",
    external_id: _ExternalId = "",
    name: _Name,
    version: _Version,
    quiet: _Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Record an image that others made, so that it can be a parent, be scanned and be revoked."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.domain.recipe import AmiParent
        from imagebuilder.ports.foreign import RegistryReference
        from imagebuilder.services.pipelines.importing import ImportOrder

        if [file is not None, bool(oci), bool(ami)].count(True) != 1 or bool(ami) is not bool(
            region
        ):
            raise SourceUnclear
        given: Path | RegistryReference | AmiParent
        if file is not None:
            given = file
        elif ami:
            given = AmiParent(ami=ami, region=region, role=role, external_id=external_id)
        else:
            given = RegistryReference(text=oci, credentials=credentials, is_plain_http=plain_http)
        order = ImportOrder(given=given, image=name, version=version)
        with stoppable(), display(as_json=as_json, is_quiet=quiet) as shown:
            imported = Application().importing.import_(order, shown)
        recorded = imported.version
        if as_json:
            print_json(
                {
                    "reference": recorded.reference,
                    "id": recorded.id,
                    "is_unchanged": imported.is_unchanged,
                    "source": recorded.parent.asked,
                    "digest": recorded.parent.identity,
                }
            )
            return
        unchanged = " unchanged" if imported.is_unchanged else ""
        print_lines(f"{recorded.reference}{unchanged}")


class SourceUnclear(InvalidInput):
    """An import says not at all, or twice, what is to be imported."""

    code = "source-unclear"

    def __init__(self) -> None:
        """Name the ways."""
        super().__init__(
            "It is not said which image is to be imported, or twice.",
            hint="Write one of --file PATH, --oci host/name:tag, and --ami ID --region REGION.",
        )
