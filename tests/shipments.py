"""Versions on their way to targets, with small files for disks."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import Place, Target, TargetSpec
from imagebuilder.ports.targets import Carrier, Placed, Shipment
from tests.build import SOME_DAY, a_version

BUNDLE = b'{"a": "bundle"}\n'


def a_shipment(
    folder: Path,
    *,
    reference: str = "web@1.2.0/3",
    formats: Sequence[ArtifactFormat] = (ArtifactFormat.QCOW2,),
    content: bytes = b"a disk",
    created_at: datetime = SOME_DAY,
    bundle: bytes = BUNDLE,
) -> Shipment:
    """Give a version whose artifacts and disk lie in a folder, each with content of its own.

    Shape: an artifact holds its format's name and the content, the raw disk the content alone.
    """
    artifacts = []
    for format_ in formats:
        held = f"{format_} {reference} ".encode() + content
        (folder / Digest.of_bytes(held).hex).write_bytes(held)
        artifacts.append(
            Artifact(
                format=format_,
                digest=Digest.of_bytes(held),
                size_bytes=len(held),
                virtual_size_bytes=len(content),
            )
        )
    version = a_version(reference, artifacts=tuple(artifacts), created_at=created_at)

    @contextmanager
    def disk() -> Iterator[Path]:
        raw = folder / "disk"
        raw.write_bytes(content)
        yield raw
        raw.unlink()

    number = version.version
    return Shipment(
        version=version,
        words={
            "image": version.image,
            "version": str(number.version),
            "build": str(number.build),
            "region": "",
            "account": "",
        },
        disk=disk,
        file=lambda artifact: folder / artifact.digest.hex,
        token=f"token-of-{version.id}",
        scratch=folder / "scratch",
        bundle=bundle,
    )


def with_qcow2(shipment: Shipment, folder: Path, content: bytes) -> Shipment:
    """Give a shipment whose only artifact is a real qcow2 file, of a disk that begins so."""
    disk, made = folder / "disk-of-qcow2", folder / "made.qcow2"
    with disk.open("wb") as opened:
        opened.write(content)
        opened.truncate(8 << 20)
    subprocess.run(["qemu-img", "convert", "-Oqcow2", disk, made], check=True, timeout=50)
    artifact = Artifact(
        format=ArtifactFormat.QCOW2,
        digest=Digest.of_bytes(made.read_bytes()),
        size_bytes=made.stat().st_size,
        virtual_size_bytes=disk.stat().st_size,
    )
    version = replace(shipment.version, artifacts=(artifact,))
    return replace(shipment, version=version, file=lambda _: made)


def the_target(carrier: Carrier, place: Place) -> Target:
    """Give the one target that a place stands for."""
    (target,) = carrier.targets(TargetSpec(name="there", place=place))
    return target


def the_placement(target: Target, shipment: Shipment, placed: Placed) -> Placement:
    """Give what is recorded of a version that was placed."""
    return Placement(
        version_id=shipment.version.id,
        target=target.key,
        external_id=placed.external_id,
        placed=Act(actor="eva", at=SOME_DAY),
        traits=placed.traits,
    )
