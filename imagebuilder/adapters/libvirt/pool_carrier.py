"""PoolCarrier: a version as a volume of a storage pool.

A pool that keeps files gets the qcow2 file where there is one; any other gets the raw disk. Libvirt
renames nothing, so that a volume is seen while it is still filled: that it is ours to fill is noted
in the shipment's scratch folder before it is made.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imagebuilder.adapters.libvirt.virsh import Virsh, Volume
from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.published import artifact_in, lacking
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import LibvirtPlace, Target, TargetSpec, filled
from imagebuilder.domain.units import size_text
from imagebuilder.ports.process import CommandRunner
from imagebuilder.ports.targets import (
    Drift,
    FormatUnavailable,
    OnBytes,
    Placed,
    PlacingFailed,
    Shipment,
    TargetRefused,
    Usage,
)

_PATH, _CHANGED, _SIZE = "path", "changed-at", "size-bytes"


class PoolCarrier:
    """Brings versions to storage pools."""

    def __init__(self, commands: CommandRunner) -> None:
        """Run virsh with commands."""
        self._commands = commands

    def targets(self, spec: TargetSpec) -> Sequence[Target]:
        """Give the one pool that an entry names."""
        place = _place(spec)
        where = {"uri": place.uri, "pool": place.pool}
        return [Target(key=f"libvirt:{place.uri}/{place.pool}", spec=spec, where=where)]

    def hindrances(
        self, target: Target, version: ImageVersion, takers: Sequence[Target] = ()
    ) -> Sequence[Objection]:
        """Give what the version lacks, and what the pool does. Raises: TargetUnavailable."""
        del takers
        found = list(lacking(version, (ArtifactFormat.RAW,)))
        pool_name = _place(target.spec).pool
        try:
            pool = self._virsh(target).pool()
        except (TargetRefused, PlacingFailed) as error:
            reason = f"{error.message} {error.context}"
            return [*found, Objection(reason=reason, remedy=error.hint)]
        if not pool.is_running:
            reason = f"The pool {pool_name} is not active."
            found.append(Objection(reason=reason, remedy=f"Start it: virsh pool-start {pool_name}"))
        qcow2 = artifact_in(version, ArtifactFormat.QCOW2) if pool.keeps_files else None
        disk_bytes = max((a.virtual_size_bytes for a in version.artifacts), default=0)
        needed_bytes = qcow2.size_bytes if qcow2 else disk_bytes
        if pool.is_running and pool.available_bytes < needed_bytes:
            available = size_text(pool.available_bytes)
            reason = f"The pool has {available} free, and it takes {size_text(needed_bytes)}."
            found.append(Objection(reason=reason, remedy="Make room in the pool"))
        return found

    def place(self, target: Target, shipment: Shipment, on_bytes: OnBytes) -> Placed:
        """See that the volume is there and holds the version. Raises: as the port."""
        if lacking(shipment.version, (ArtifactFormat.RAW,)):
            raise FormatUnavailable(target.key, shipment.version.reference, (ArtifactFormat.QCOW2,))
        virsh = self._virsh(target)
        name = filled(_place(target.spec).volume, shipment.words)
        mark = Path(shipment.scratch) / f"libvirt-{Digest.of_bytes(name.encode()).short}"
        mark.parent.mkdir(parents=True, exist_ok=True)
        with self._file(virsh, shipment) as file:
            digest = _digest_of(file)
            there = virsh.volume(name)
            if there is not None and mark.exists():
                virsh.delete(name)
                there = None
            if there is None:
                mark.touch()
                virsh.create(name, file.stat().st_size)
                virsh.upload(name, file)
                on_bytes(file.stat().st_size)
            found = _held(virsh, name, mark.with_suffix(".back"), file.stat().st_size)
            if found != digest and mark.exists():
                hint = "Check the disks of that machine, then do this again."
                what = f"The volume {name} of {target.key}"
                raise DigestMismatch(what, expected=digest, found=found, hint=hint)
            if found != digest:
                raise TargetRefused(
                    target.key,
                    f"to change volume {name}",
                    "It holds something else, which was not put there by us or was changed since.",
                    "Look whose it is, delete it, then do this again.",
                )
            mark.unlink(missing_ok=True)
        return _placed(virsh.volume(name), name, digest)

    def drifts(
        self, target: Target, placement: Placement, takers: Sequence[Target] = ()
    ) -> Sequence[Drift]:
        """Tell when the volume is gone, or was written to. Raises: TargetUnavailable."""
        del takers
        name = placement.external_id
        there = self._virsh(target).volume(name)
        if there is None:
            return [Drift(what=f"volume {name}", wanted="there", found="nothing")]
        found = _traits(there)
        return [
            Drift(what=f"{key} of volume {name}", wanted=wanted, found=found[key])
            for key, wanted in placement.traits.items()
            if found.get(key, wanted) != wanted
        ]

    def usages(self, target: Target, placement: Placement) -> Sequence[Usage]:
        """Give the machines and the volumes that lie upon it. Raises: TargetUnavailable."""
        path = placement.traits.get(_PATH, "")
        virsh = self._virsh(target)
        upon = [volume for volume in virsh.volumes() if path and volume.backed_by == path]
        paths = [path, *(volume.path for volume in upon)] if path else []
        machines = sorted({name for each in paths for name in virsh.users_of(each)})
        return [
            *(Usage(what=f"machine {name}") for name in machines),
            *(Usage(what=f"volume {volume.name}, which is backed by it") for volume in upon),
        ]

    def withdraw(self, target: Target, placement: Placement, *, delete: bool) -> None:
        """Delete the volume, unless something lies upon it or is in it: a pool knows no other way.

        Raises: TargetUnavailable; TargetRefused.
        """
        del delete
        virsh, name = self._virsh(target), placement.external_id
        if virsh.volume(name) is None:
            return
        reasons = [usage.what for usage in self.usages(target, placement)]
        reasons += [f"{drift.what} is {drift.found}" for drift in self.drifts(target, placement)]
        if reasons or not placement.traits:
            reason = f"{'; '.join(reasons) or 'It was not put there by a distribution'}."
            hint = "See to those machines, then do this again; or delete it there by hand."
            raise TargetRefused(target.key, f"to delete volume {name}", reason, hint)
        virsh.delete(name)

    def _virsh(self, target: Target) -> Virsh:
        place = _place(target.spec)
        return Virsh(self._commands, place.uri, place.pool)

    @contextmanager
    def _file(self, virsh: Virsh, shipment: Shipment) -> Iterator[Path]:
        """Give the file that the pool can keep."""
        qcow2 = artifact_in(shipment.version, ArtifactFormat.QCOW2)
        if qcow2 is not None and virsh.pool().keeps_files:
            yield Path(shipment.file(qcow2))
            return
        with shipment.disk() as raw:
            yield Path(raw)


def _held(virsh: Virsh, name: str, into: Path, size_bytes: int) -> Digest:
    """Give the digest of so much of a volume, all of it fetched and thrown away.

    What is behind it is the pool's rounding.
    """
    try:
        virsh.download(name, into, size_bytes)
        return _digest_of(into)
    finally:
        into.unlink(missing_ok=True)


def _placed(volume: Volume | None, name: str, digest: Digest) -> Placed:
    traits = {} if volume is None else _traits(volume)
    return Placed(external_id=name, traits={**traits, "digest": str(digest)})


def _traits(volume: Volume) -> dict[str, str]:
    return {_PATH: volume.path, _CHANGED: volume.changed_at, _SIZE: str(volume.size_bytes)}


def _place(spec: TargetSpec) -> LibvirtPlace:
    if not isinstance(spec.place, LibvirtPlace):
        raise TypeError(f"{type(spec.place).__name__} is no storage pool")
    return spec.place


def _digest_of(file: Path) -> Digest:
    with file.open("rb") as opened:
        return Digest(hashlib.file_digest(opened, "sha256").hexdigest())
