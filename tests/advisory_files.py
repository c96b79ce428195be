"""Small files of advisories, laid out as their publishers lay them out."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile


def resolved(fixed: str, urgency: str = "not yet assigned") -> dict[str, Any]:
    """Give what Debian's tracker says of a release in which a CVE is fixed."""
    return {
        "status": "resolved",
        "repositories": {"bookworm": fixed},
        "fixed_version": fixed,
        "urgency": urgency,
    }


def unfixed(status: str = "open", **more: str) -> dict[str, Any]:
    """Give what it says where there is no fix."""
    said = {"status": status, "repositories": {}, "urgency": "not yet assigned"}
    return {**said, **more}


def tracker(**packages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give a tracker. Shape: source package -> CVE, with _ for -, -> release -> what is said."""
    return {
        package: {
            cve.replace("_", "-"): {
                "scope": "remote",
                "description": "",
                "releases": dict(releases),
            }
            for cve, releases in cves.items()
        }
        for package, cves in packages.items()
    }


def osv(name: str, *affected: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Give a record of OSV."""
    return {
        "schema_version": "1.7.0",
        "id": name,
        "modified": "2026-02-20T10:00:00Z",
        "affected": list(affected),
        **more,
    }


def within(ecosystem: str, package: str, *events: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Give the part of a record that is of a package."""
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    return {"package": {"ecosystem": ecosystem, "name": package}, "ranges": ranges, **more}


def kev(*cves: str, released: str = "2026-02-25T15:00:00.000Z") -> dict[str, Any]:
    """Give CISA's catalogue."""
    entries = [
        {
            "cveID": cve,
            "vendorProject": "x",
            "product": "x",
            "vulnerabilityName": f"Name of {cve}",
            "dateAdded": "2026-02-24",
            "shortDescription": "x",
            "requiredAction": "x",
            "dueDate": "2026-03-24",
            "knownRansomwareCampaignUse": "Known",
        }
        for cve in cves
    ]
    return {
        "title": "CISA Catalog of Known Exploited Vulnerabilities",
        "catalogVersion": "2026.02.25",
        "dateReleased": released,
        "count": len(entries),
        "vulnerabilities": entries,
    }


def epss(**scores: float) -> str:
    """Give scores of EPSS. Shape: CVE, with _ for -, -> score."""
    lines = [
        "#model_version:v2026.01.01,score_date:2026-02-27T00:00:00+0000",
        "cve,epss,percentile",
    ]
    lines += [f"{cve.replace('_', '-')},{score},0.9" for cve, score in scores.items()]
    return "\n".join(lines) + "\n"


def write_json(path: Path, document: Any) -> Path:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def write_gzip(path: Path, text: str) -> Path:
    """Write packed text."""
    path.write_bytes(gzip.compress(text.encode()))
    return path


def write_zip(path: Path, **members: Any) -> Path:
    """Write an archive. Shape: name without .json -> document."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, document in members.items():
            archive.writestr(f"{name}.json", json.dumps(document))
    return path
