"""The tables of the catalogue. What changes here needs a revision in `alembic/versions`.

columns (what tables are made of) <- contents (what versions share) <- versions <- standing (what is
said of them), bills (what is in them), assessments (what scans said) and distributions; runs,
pipelines, waivers and packs of content stand alone.
"""

from imagebuilder.adapters.sql.tables.assessments import assessed_controls, assessments
from imagebuilder.adapters.sql.tables.attestations import attestations, signing_keys
from imagebuilder.adapters.sql.tables.bills import bills
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
from imagebuilder.adapters.sql.tables.distributions import delivery_steps, distributions
from imagebuilder.adapters.sql.tables.packs import content_packs
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
from imagebuilder.adapters.sql.tables.vulnerabilities import (
    match_sources,
    matches,
    vulnerabilities,
    vulnerable_sources,
)
from imagebuilder.adapters.sql.tables.waivers import waivers

__all__ = [
    "SCHEMA_REVISION",
    "UtcMoment",
    "approvals",
    "artifacts",
    "assessed_controls",
    "assessments",
    "attestations",
    "audit",
    "bills",
    "channel_moves",
    "channels",
    "content_packs",
    "cve_fixes",
    "decisions",
    "delivery_steps",
    "distributions",
    "documents",
    "hook_calls",
    "image_descriptions",
    "image_labels",
    "images",
    "indexes",
    "layer_stacks",
    "leases",
    "lifecycles",
    "match_sources",
    "matches",
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
    "signing_keys",
    "test_reports",
    "test_results",
    "version_descriptions",
    "version_documents",
    "version_labels",
    "versions",
    "vulnerabilities",
    "vulnerable_sources",
    "waivers",
]
