"""Small SCAP data streams and ARF files, written here: no content of anybody else's."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

PREFIX = "xccdf_org.example.tests"
XCCDF = "http://checklists.nist.gov/xccdf/1.2"
OVAL = "http://oval.mitre.org/XMLSchema/oval-definitions-5"

_COLLECTION = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<ds:data-stream-collection xmlns:ds="http://scap.nist.gov/schema/scap/source/1.2"
    xmlns:xlink="http://www.w3.org/1999/xlink"
    xmlns:cat="urn:oasis:names:tc:entity:xmlns:xml:catalog"
    id="scap_org.example_collection_tests" schematron-version="1.3">
  <ds:data-stream id="scap_org.example_datastream_tests" scap-version="1.3" use-case="OTHER"
      timestamp="2026-01-01T00:00:00">
    <ds:checklists>
      <ds:component-ref id="scap_org.example_cref_@NAME@-xccdf.xml"
          xlink:href="#scap_org.example_comp_xccdf.xml">
        <cat:catalog><cat:uri name="oval.xml" uri="#scap_org.example_cref_oval.xml"/></cat:catalog>
      </ds:component-ref>
    </ds:checklists>
    <ds:checks>
      <ds:component-ref id="scap_org.example_cref_oval.xml"
          xlink:href="#scap_org.example_comp_oval.xml"/>
    </ds:checks>
  </ds:data-stream>
  <ds:component id="scap_org.example_comp_xccdf.xml" timestamp="2026-01-01T00:00:00">
@BENCHMARK@
  </ds:component>
  <ds:component id="scap_org.example_comp_oval.xml" timestamp="2026-01-01T00:00:00">
    <oval_definitions xmlns="{OVAL}" xmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5"
        xmlns:ind="{OVAL}#independent" xmlns:linux="{OVAL}#linux">
      <generator>
        <oval:schema_version>5.11</oval:schema_version>
        <oval:timestamp>2026-01-01T00:00:00</oval:timestamp>
      </generator>
      <definitions>@DEFINITIONS@</definitions>
      <tests>@TESTS@</tests>
      <objects>@OBJECTS@</objects>
      <states>@STATES@</states>
      <variables>
        <external_variable id="oval:tests-var_word:var:1" version="1" datatype="string"
            comment="the word"/>
      </variables>
    </oval_definitions>
  </ds:component>
</ds:data-stream-collection>
"""

FILES: Mapping[str, str] = {"has_word": "/etc/word", "has_other": "/etc/other"}
"""Shape: rule -> the file in which it wants the variable `word`."""


def data_stream(
    *,
    name: str = "ssg-tests",
    version: str = "1.2.3",
    platforms: Sequence[str] = ("cpe:/o:debian:debian_linux:12",),
) -> str:
    """Give a data stream of two rules for files, one for a package, and profiles of them.

    The engine takes its rules for applicable where there are no platforms.
    """
    checks = "".join(_file_rule(rule) for rule in FILES)
    benchmark = f"""\
    <Benchmark xmlns="{XCCDF}" id="{PREFIX}_benchmark_TESTS-1" resolved="true" xml:lang="en-US">
      <status date="2026-01-01">draft</status>
      <title>Tests</title>
      <reference href="https://cis.example/benchmark/">cis</reference>
      <reference href="https://cis.example/controls/">cis-csc</reference>
      {"".join(f'<platform idref="{each}"/>' for each in platforms)}
      <version>{version}</version>
      <Profile id="{PREFIX}_profile_cis_words">
        <version>9</version>
        <title>Words,   in
          files</title>
        <select idref="{PREFIX}_rule_has_word" selected="true"/>
        <select idref="{PREFIX}_rule_has_other" selected="true"/>
      </Profile>
      <Profile id="{PREFIX}_profile_packages">
        <title>Packages</title>
        <select idref="{PREFIX}_rule_has_dpkg" selected="true"/>
      </Profile>
      <Value id="{PREFIX}_value_word" type="string"><value>open</value></Value>
      {checks}{_rule("has_dpkg", "")}
    </Benchmark>"""
    parts = {
        "NAME": name,
        "BENCHMARK": benchmark,
        "DEFINITIONS": "".join(map(_definition, (*FILES, "has_dpkg"))),
        "TESTS": "".join(_file_test(rule) for rule in FILES) + _PACKAGE_TEST,
        "OBJECTS": "".join(_file_object(*item) for item in FILES.items()) + _PACKAGE_OBJECT,
        "STATES": _STATE,
    }
    text = _COLLECTION
    for part, written in parts.items():
        text = text.replace(f"@{part}@", written)
    return text


def _rule(name: str, export: str) -> str:
    return f"""
      <Rule id="{PREFIX}_rule_{name}" selected="false" severity="high">
        <title>Rule {name}</title>
        <reference href="https://cis.example/benchmark/">1.1.{len(name)}</reference>
        <reference href="https://cis.example/controls/">16</reference>
        <check system="{OVAL}">{export}
          <check-content-ref href="oval.xml" name="oval:tests-{name}:def:1"/>
        </check>
      </Rule>"""


def _file_rule(name: str) -> str:
    return _rule(
        name,
        f'<check-export export-name="oval:tests-var_word:var:1" value-id="{PREFIX}_value_word"/>',
    )


def _definition(name: str) -> str:
    return f"""
        <definition class="compliance" id="oval:tests-{name}:def:1" version="1">
          <metadata><title>{name}</title><description>{name}</description></metadata>
          <criteria><criterion test_ref="oval:tests-{name}:tst:1" comment="{name}"/></criteria>
        </definition>"""


def _file_test(name: str) -> str:
    return f"""
        <ind:textfilecontent54_test id="oval:tests-{name}:tst:1" version="1" check="all"
            check_existence="at_least_one_exists" comment="{FILES[name]} says the word">
          <ind:object object_ref="oval:tests-{name}:obj:1"/>
          <ind:state state_ref="oval:tests-word:ste:1"/>
        </ind:textfilecontent54_test>"""


def _file_object(name: str, path: str) -> str:
    return f"""
        <ind:textfilecontent54_object id="oval:tests-{name}:obj:1" version="1">
          <ind:filepath>{path}</ind:filepath>
          <ind:pattern operation="pattern match">^word=(\\S+)$</ind:pattern>
          <ind:instance datatype="int">1</ind:instance>
        </ind:textfilecontent54_object>"""


_STATE = """
        <ind:textfilecontent54_state id="oval:tests-word:ste:1" version="1">
          <ind:subexpression var_ref="oval:tests-var_word:var:1" var_check="all"/>
        </ind:textfilecontent54_state>"""
_PACKAGE_TEST = """
        <linux:dpkginfo_test id="oval:tests-has_dpkg:tst:1" version="1" check="all"
            check_existence="all_exist" comment="dpkg is installed">
          <linux:object object_ref="oval:tests-has_dpkg:obj:1"/>
        </linux:dpkginfo_test>"""
_PACKAGE_OBJECT = """
        <linux:dpkginfo_object id="oval:tests-has_dpkg:obj:1" version="1">
          <linux:name>dpkg</linux:name>
        </linux:dpkginfo_object>"""


def arf(outcomes: Mapping[str, str], *, seen: str = "") -> str:
    """Give an ARF in which rules of the data stream ended so. Shape: short name -> result."""
    results = "".join(
        f"""
            <rule-result idref="{PREFIX}_rule_{rule}" severity="high">
              <result>{result}</result>
              <check system="{OVAL}">
                <check-content-ref name="oval:tests-{rule}:def:1" href="#oval0"/>
              </check>
            </rule-result>"""
        for rule, result in outcomes.items()
    )
    definitions = "".join(
        f"""
              <definition definition_id="oval:tests-{rule}:def:1" result="false" version="1">
                <criteria operator="AND" result="false">
                  <criterion test_ref="oval:tests-{rule}:tst:1" version="1" result="false"/>
                </criteria>
              </definition>"""
        for rule in outcomes
    )
    tests = "".join(
        f"""
              <test test_id="oval:tests-{rule}:tst:1" version="1" check="all" result="false">
                <tested_item item_id="1" result="false"/>
              </test>"""
        for rule in outcomes
    )
    content = data_stream().partition("?>")[2]
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<arf:asset-report-collection
    xmlns:arf="http://scap.nist.gov/schema/asset-reporting-format/1.1">
  <arf:report-requests><arf:report-request id="c"><arf:content>{content}</arf:content>
  </arf:report-request></arf:report-requests>
  <arf:reports>
    <arf:report id="xccdf1"><arf:content>
      <TestResult xmlns="{XCCDF}" id="{PREFIX}_testresult_x" test-system="tests">{results}
      </TestResult>
    </arf:content></arf:report>
    <arf:report id="oval0"><arf:content>
      <oval_results xmlns="http://oval.mitre.org/XMLSchema/oval-results-5">
        <results><system>
            <definitions>{definitions}
            </definitions>
            <tests>{tests}
            </tests>
            <oval_system_characteristics
                xmlns="http://oval.mitre.org/XMLSchema/oval-system-characteristics-5">
              <system_data>{seen or file_item("/etc/word", "word=shut")}</system_data>
            </oval_system_characteristics>
        </system></results>
      </oval_results>
    </arf:content></arf:report>
  </arf:reports>
</arf:asset-report-collection>
"""


def file_item(path: str, text: str) -> str:
    """Give what OVAL saw of a line of a file."""
    return f"""
                <i:textfilecontent_item id="1" status="exists" xmlns:i="urn:tests">
                  <i:filepath>{path}</i:filepath>
                  <i:path>/etc</i:path>
                  <i:text>{escape(text)}</i:text>
                </i:textfilecontent_item>"""
