"""The manifest: what Packer writes down of the builds that ended well, in a file of JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Listed:
    """A build in it."""

    build: str
    artifact_id: str
    files: tuple[str, ...]


def listed_in(file: Path) -> Mapping[str, Listed]:
    """Give the builds of the newest run in a manifest. Shape: build -> what is said of it.

    There is no file when no build ended well. Raises: ValueError: it is no manifest.
    """
    if not file.is_file():
        return {}
    try:
        manifest: dict[str, Any] = json.loads(file.read_bytes())
        # A manifest that is there already is added to.
        run = manifest["last_run_uuid"]
        builds = [build for build in manifest["builds"] if build["packer_run_uuid"] == run]
        return {
            build["name"]: Listed(
                build=build["name"],
                artifact_id=build["artifact_id"],
                files=tuple(each["name"] for each in build["files"] or ()),
            )
            for build in builds
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no manifest: {error!r}") from error
