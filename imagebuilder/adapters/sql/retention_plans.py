"""Retention plans as the JSON text that is kept of them, and back."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Digest, canonical_json
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import DocumentText
from imagebuilder.domain.retention import Decision, Verdict
from imagebuilder.domain.retirement import RetentionPlan
from imagebuilder.domain.standing import Lifecycle


def plan_text(plan: RetentionPlan) -> str:
    """Write what a plan says; what its row says beside that is left out."""
    return canonical_json(
        {
            "at": plan.at.isoformat(),
            "why": plan.made.why,
            "image": plan.image,
            "freed_bytes": plan.freed_bytes,
            "frees_bytes": {str(i): size for i, size in plan.frees_bytes.items()},
            "documents": [
                {"kind": d.kind, "name": d.name, "text": d.text, "digest": d.digest.hex}
                for d in plan.documents
            ],
            "decisions": [
                {
                    "id": d.id,
                    "reference": d.reference,
                    "image": d.image,
                    "created_at": d.created_at.isoformat(),
                    "lifecycle": d.lifecycle.value,
                    "verdict": d.verdict.value,
                    "reasons": list(d.reasons),
                    "rules": list(d.rules),
                    "next_step": d.next_step.value if d.next_step else None,
                    "due_at": d.due_at.isoformat() if d.due_at else None,
                }
                for d in plan.decisions
            ],
        }
    ).decode()


def plan_of(row: RowMapping) -> RetentionPlan:
    """Give the plan that a row keeps."""
    fields = json.loads(row["plan"])
    return RetentionPlan(
        id=row["id"],
        made=Act(actor=row["made_by"], at=row["made_at"], why=fields["why"]),
        at=datetime.fromisoformat(fields["at"]),
        image=fields["image"],
        documents=tuple(
            DocumentText(kind=d["kind"], name=d["name"], text=d["text"], digest=Digest(d["digest"]))
            for d in fields["documents"]
        ),
        decisions=tuple(map(_decision, fields["decisions"])),
        frees_bytes={VersionId(i): int(size) for i, size in fields["frees_bytes"].items()},
        freed_bytes=int(fields["freed_bytes"]),
        applied_at=row["applied_at"],
    )


def _decision(fields: dict[str, Any]) -> Decision:
    next_step, due_at = fields["next_step"], fields["due_at"]
    return Decision(
        id=VersionId(fields["id"]),
        reference=fields["reference"],
        image=ImageName(fields["image"]),
        created_at=datetime.fromisoformat(fields["created_at"]),
        lifecycle=Lifecycle(fields["lifecycle"]),
        verdict=Verdict(fields["verdict"]),
        reasons=tuple(fields["reasons"]),
        rules=tuple(fields["rules"]),
        next_step=Verdict(next_step) if next_step else None,
        due_at=datetime.fromisoformat(due_at) if due_at else None,
    )
