"""What scans said, as ARF files tell it."""

from pathlib import Path

import pytest

from imagebuilder.adapters.openscap.evidence import LONGEST_EVIDENCE
from imagebuilder.adapters.openscap.results import results_in
from imagebuilder.adapters.openscap.xml_stream import XmlRefused
from imagebuilder.domain.control import ControlOutcome, ControlResult
from imagebuilder.domain.severity import Severity
from tests.scap import arf, file_item

LIMIT_BYTES = 2**20


def results(folder: Path, text: str, profile: str = "cis_words") -> tuple[ControlResult, ...]:
    file = folder / "arf.xml"
    file.write_text(text)
    return results_in(file, profile, LIMIT_BYTES)


def test_results_when_read_then_rules_have_title_severity_and_numbers_of_the_benchmark(
    tmp_path: Path,
) -> None:
    first, second = results(tmp_path, arf({"has_word": "fail", "has_other": "pass"}))

    assert second == ControlResult(
        rule="has_word",
        outcome=ControlOutcome.FAIL,
        severity=Severity.HIGH,
        title="Rule has_word",
        controls=("1.1.8",),
        evidence=second.evidence,
    )
    assert (first.rule, first.outcome, first.evidence) == ("has_other", ControlOutcome.PASS, "")


def test_results_when_rules_were_not_selected_then_they_are_left_out(tmp_path: Path) -> None:
    found = results(tmp_path, arf({"has_word": "fail", "has_other": "notselected"}))

    assert [each.rule for each in found] == ["has_word"]


@pytest.mark.parametrize("outcome", list(ControlOutcome))
def test_results_when_a_rule_ended_somehow_then_it_is_kept_as_told(
    tmp_path: Path, outcome: ControlOutcome
) -> None:
    (found,) = results(tmp_path, arf({"has_word": outcome.value}))

    assert found.outcome is outcome


def test_results_when_nothing_was_selected_then_there_are_none(tmp_path: Path) -> None:
    assert results(tmp_path, arf({"has_word": "notselected"})) == ()


def test_evidence_when_a_rule_failed_then_says_the_test_and_what_it_saw(tmp_path: Path) -> None:
    (found,) = results(tmp_path, arf({"has_word": "fail"}))

    assert found.evidence.splitlines() == [
        "/etc/word says the word: false",
        "  filepath=/etc/word text=word=shut",
    ]


def test_evidence_when_it_is_long_then_it_is_cut_at_a_line(tmp_path: Path) -> None:
    names = [f"r{n:04}" for n in range(200)]
    text = arf(dict.fromkeys(names, "fail"))
    definition = "".join(
        f'<criterion test_ref="oval:tests-{name}:tst:1" version="1" result="false"/>'
        for name in names
    )
    text = text.replace(
        '<criterion test_ref="oval:tests-r0000:tst:1" version="1" result="false"/>', definition
    )

    found = results(tmp_path, text)[0].evidence

    assert len(found) <= LONGEST_EVIDENCE
    assert found.splitlines()[-1] == "…"
    assert found.splitlines()[-2].startswith(("  filepath=", "oval:tests-"))


@pytest.mark.parametrize("file", ["/etc/shadow", "/etc/gshadow", "/etc/shadow-"])
def test_evidence_when_it_is_of_passwords_then_their_digests_are_left_out(
    tmp_path: Path, file: str
) -> None:
    seen = file_item(file, "root:$6$salt$secret:1:0")

    (found,) = results(tmp_path, arf({"has_word": "fail"}, seen=seen))

    assert f"filepath={file}" in found.evidence
    assert "secret" not in found.evidence


def test_evidence_when_an_image_names_things_oddly_then_control_signs_are_gone(
    tmp_path: Path,
) -> None:
    seen = file_item("/etc/word", "a\tb&#27;[2J\nfake: true")

    (found,) = results(
        tmp_path, arf({"has_word": "fail"}, seen=seen.replace("&amp;#27;", "&#155;"))
    )

    assert found.evidence.splitlines()[1] == "  filepath=/etc/word text=a b[2J fake: true"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (arf({"has_word": "pass"})[:-30], "cut short"),
        (arf({"has_word": "pass"}).partition("<rule-result")[0], "cut short"),
        (arf({"has_word": "pass"}).replace("TestResult", "Other"), "no result of a scan"),
        (arf({"has_word": "green"}), "the result 'green'"),
        ("<x/>", "Its root is 'x'"),
        (arf({"has_word": "pass"}) + " " * LIMIT_BYTES, "more than 1.0 MiB is not read"),
    ],
)
def test_results_when_the_file_is_not_whole_then_it_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(XmlRefused, match=said.replace("(", r"\(")):
        results(tmp_path, text)
