"""What an assurance statement tells of a version."""

from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.finding import Finding, FindingKind
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.objection import AdvisoryStanding
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.verdict import Known, Scan, judge
from imagebuilder.domain.versions import BuildVersion
from imagebuilder.formats.assurance import assurance_predicate
from tests.build import SOME_DAY

CVE = Finding(
    kind=FindingKind.VULNERABILITY, id="CVE-2026-1", scope="openssl", severity=Severity.HIGH
)


def known(**more: object) -> Known:
    return Known(image=ImageName("web"), version=BuildVersion.parse("1.0.0/1"), **more)  # type: ignore[arg-type]  # values by name


def test_nothing_known_is_not_stated() -> None:
    assert assurance_predicate(known(), judge(known(), (), None, SOME_DAY)) is None


def test_findings_scans_and_the_age_of_advisories_are_stated() -> None:
    scan = Scan(profile="cis", benchmark="cis-debian12", coverage=0.5, scanned_at=SOME_DAY)
    all_known = known(
        vulnerabilities=(CVE,), advisories=AdvisoryStanding(data_at=SOME_DAY), scans=(scan,)
    )

    told = assurance_predicate(all_known, judge(all_known, (), None, SOME_DAY))

    assert told is not None
    assert told["advisories"] == {
        "dataOn": "2026-03-01T12:30:15Z",
        "exploitedDataOn": None,
        "isOutmoded": False,
        "problem": "",
    }
    assert told["counts"] == {"open": 1}
    assert '"id":"CVE-2026-1"' in canonical_json(told).decode()
    assert '"state":"open"' in canonical_json(told).decode()
