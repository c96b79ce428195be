"""The tables of the catalogue. What changes here needs a revision in `alembic/versions`.

columns (what tables are made of) <- contents (what versions share) <- versions <- standing (what is
said of them); runs and pipelines stand alone.
"""

from imagebuilder.adapters.sql.tables.columns import SCHEMA_REVISION, UtcMoment, metadata
from imagebuilder.adapters.sql.tables.contents import (
    cve_fixes,
    documents,
    layer_stacks,
    package_set_members,
    package_sets,
    packages,
    plans,
)
from imagebuilder.adapters.sql.tables.pipelines import (
    decisions,
    hook_calls,
    leases,
    notices,
    pipelines,
)
from imagebuilder.adapters.sql.tables.runs import approvals, run_stages, run_steps, runs
from imagebuilder.adapters.sql.tables.standing import (
    audit,
    channel_moves,
    channels,
    image_descriptions,
    image_labels,
    lifecycles,
    placements,
    retention_plans,
    revocations,
    version_descriptions,
    version_labels,
)
from imagebuilder.adapters.sql.tables.versions import (
    artifacts,
    images,
    indexes,
    test_reports,
    test_results,
    version_documents,
    versions,
)

__all__ = [
    "SCHEMA_REVISION",
    "UtcMoment",
    "approvals",
    "artifacts",
    "audit",
    "channel_moves",
    "channels",
    "cve_fixes",
    "decisions",
    "documents",
    "hook_calls",
    "image_descriptions",
    "image_labels",
    "images",
    "indexes",
    "layer_stacks",
    "leases",
    "lifecycles",
    "metadata",
    "notices",
    "package_set_members",
    "package_sets",
    "packages",
    "pipelines",
    "placements",
    "plans",
    "retention_plans",
    "revocations",
    "run_stages",
    "run_steps",
    "runs",
    "test_reports",
    "test_results",
    "version_descriptions",
    "version_documents",
    "version_labels",
    "versions",
]
