"""What records images that others made."""

import os
from functools import partial
from pathlib import Path

from imagebuilder.adapters.aws.accounts import Accounts
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.foreign_images import AwsImages
from imagebuilder.adapters.local.foreign import LocalForeignImages
from imagebuilder.adapters.local.workplace import transfer_folder
from imagebuilder.adapters.web.registry_images import RegistryImages
from imagebuilder.ports.process import CommandRunner
from imagebuilder.services.pipelines.desk import Desk
from imagebuilder.services.pipelines.importing import Importing, ImportTools
from imagebuilder.services.pipelines.making import Workers
from imagebuilder.settings import secret_of


def importer(
    desk: Desk, workers: Workers, commands: CommandRunner, home: Path, aws_endpoint: str | None
) -> Importing:
    """Give what records images that others made, with the tools that builds have."""
    scratch = partial(transfer_folder, home / "work")
    calls = Calls(Accounts(secret_of, endpoint=aws_endpoint), desk.clock)
    tools = ImportTools(
        images=LocalForeignImages(commands, home / "work"),
        registry=RegistryImages(secret_of, scratch),
        amis=AwsImages(calls, scratch),
        workshop=workers.workshop,
        stocktaking=workers.stocktaking,
    )
    return Importing(desk, tools, process=f"process {os.getpid()}")
