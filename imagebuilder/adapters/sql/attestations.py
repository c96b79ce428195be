"""Attestations and public keys in SQL."""

from collections.abc import Collection, Sequence

from sqlalchemy import RowMapping, func, insert, select, update

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.domain.attestation import (
    Attestation,
    KeyAlgorithm,
    KeyState,
    KnownKey,
    PublicKey,
)
from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import VersionNotFound

_a = tables.attestations.c
_k = tables.signing_keys.c
_v = tables.versions.c


class SqlAttestationStore:
    """An AttestationStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep what was signed in an open catalogue."""
        self._database = database

    def add(self, attestation: Attestation) -> None:
        """Keep that a statement was signed, by a key that is known. Raises: VersionNotFound."""
        version_id = attestation.version_id
        with self._database.writing() as connection:
            number = connection.scalar(select(_v.number).where(_v.id == version_id))
            if number is None:
                raise VersionNotFound(version_id, ())
            last = select(func.max(_a.position)).where(_a.version_number == number)
            before = connection.scalar(last)
            row = {
                "version_number": number,
                "position": 0 if before is None else before + 1,
                "predicate_type": attestation.predicate_type,
                "digest": attestation.bundle.hex,
                "key_id": attestation.key_id.hex,
                "signed_at": attestation.signed_at,
            }
            connection.execute(insert(tables.attestations).values(row))

    def of_versions(self, ids: Collection[VersionId]) -> Sequence[Attestation]:
        """Give what was signed about versions, of each in the order of its signing."""
        query = (
            select(tables.attestations, _v.id.label("version_id"))
            .join(tables.versions, _v.number == _a.version_number)
            .where(among(_v.id, ids))
            .order_by(_a.version_number, _a.position)
        )
        with self._database.reading() as connection:
            return [_attestation(row) for row in connection.execute(query).mappings()]

    def know(self, key: KnownKey) -> None:
        """Keep a public key; one that is known stays as it is."""
        with self._database.writing() as connection:
            if connection.scalar(select(_k.id).where(_k.id == key.key.id.hex)) is not None:
                return
            row = {
                "id": key.key.id.hex,
                "algorithm": key.key.algorithm.value,
                "pem": key.key.pem,
                "first_used_at": key.first_used_at,
                "state": key.state.value,
                **_ended(key.ended),
            }
            connection.execute(insert(tables.signing_keys).values(row))

    def keys(self) -> Sequence[KnownKey]:
        """Give every key that is known, the first used first."""
        query = select(tables.signing_keys).order_by(_k.first_used_at, _k.id)
        with self._database.reading() as connection:
            return [_known(row) for row in connection.execute(query).mappings()]

    def end(self, key_id: Digest, state: KeyState, act: Act) -> None:
        """Keep that a key signs no more, or is believed no more."""
        with self._database.writing() as connection:
            connection.execute(
                update(tables.signing_keys)
                .where(_k.id == key_id.hex)
                .values(state=state.value, **_ended(act))
            )


def _ended(act: Act | None) -> dict[str, object]:
    return {
        "ended_at": act.at if act else None,
        "ended_by": act.actor if act else None,
        "ended_why": act.why if act else None,
    }


def _attestation(row: RowMapping) -> Attestation:
    return Attestation(
        version_id=VersionId(row["version_id"]),
        predicate_type=row["predicate_type"],
        bundle=Digest(row["digest"]),
        key_id=Digest(row["key_id"]),
        signed_at=row["signed_at"],
    )


def _known(row: RowMapping) -> KnownKey:
    ended_at = row["ended_at"]
    return KnownKey(
        key=PublicKey(
            id=Digest(row["id"]), algorithm=KeyAlgorithm(row["algorithm"]), pem=row["pem"]
        ),
        first_used_at=row["first_used_at"],
        state=KeyState(row["state"]),
        ended=Act(actor=row["ended_by"], at=ended_at, why=row["ended_why"]) if ended_at else None,
    )
