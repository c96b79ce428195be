"""References in double braces: what they mean, and how they are filled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.references import (
    ContextKey,
    ContextValue,
    EnvironmentValue,
    LoopPart,
    LoopValue,
    MetadataValue,
    NamedValue,
    Reference,
    Side,
    StepValue,
    StoredIndirectly,
    StoredValue,
    TemplateText,
    UnusableReference,
    parse_reference,
    references_in,
    substitute,
    substitute_text,
)

NAMES = st.from_regex(r"[A-Za-z0-9_-]{3,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("inside", "meaning"),
    [
        (" Name ", NamedValue(name="Name")),
        ("a-b_3", NamedValue(name="a-b_3")),
        (
            "build.Step.outputs.stdout",
            StepValue(phase="build", step="Step", side=Side.OUTPUTS, key="stdout"),
        ),
        (
            " build.My Step.1.outputs[12].stdout ",
            StepValue(phase="build", step="My Step.1", side=Side.OUTPUTS, key="stdout", index=12),
        ),
        (
            "test.A.inputs[0].path",
            StepValue(phase="test", step="A", side=Side.INPUTS, key="path", index=0),
        ),
        ("env:HOME", EnvironmentValue(name="HOME")),
        ("env:ProgramFiles(x86)", EnvironmentValue(name="ProgramFiles(x86)")),
        ("env:a.b c", EnvironmentValue(name="a.b c")),
        *((f"context:{key}", ContextValue(key=key)) for key in ContextKey),
        ("aws:ssm:/a/b", StoredValue(path="/a/b")),
        ("aws:ssm:plain", StoredValue(path="plain")),
        ("aws:ssm:/a/b:3", StoredValue(path="/a/b:3")),
        (
            "aws:ssm:/aws/reference/secretsmanager/my-secret",
            StoredValue(path="/aws/reference/secretsmanager/my-secret"),
        ),
        ("aws:ssm:resolve(Name)", StoredIndirectly(name=NamedValue(name="Name"))),
        (
            "aws:ssm:resolve( aws:ssm:/a/b )",
            StoredIndirectly(name=StoredValue(path="/a/b")),
        ),
        ("aws:imds:instance-id", MetadataValue(path="instance-id")),
        ("aws:imds:placement/region", MetadataValue(path="placement/region")),
        ("loop.index", LoopValue(loop="loop", part=LoopPart.INDEX)),
        ("loop.value", LoopValue(loop="loop", part=LoopPart.VALUE)),
        ("Hosts.value", LoopValue(loop="Hosts", part=LoopPart.VALUE)),
        ("Hosts.index", LoopValue(loop="Hosts", part=LoopPart.INDEX)),
        (".Name", TemplateText(text=".Name")),
        ("range .Items", TemplateText(text="range .Items")),
        ("- if .x -", TemplateText(text="- if .x -")),
        (".item.value", TemplateText(text=".item.value")),
        ("ab", TemplateText(text="ab")),
        ("", TemplateText(text="")),
        ("x" * 129, TemplateText(text="x" * 129)),
        ("build.A.outputs", TemplateText(text="build.A.outputs")),
        ("build.A.outputs[x].y", TemplateText(text="build.A.outputs[x].y")),
    ],
)
def test_parse_reference_when_written_so_means_it(
    inside: str, meaning: Reference | TemplateText
) -> None:
    assert parse_reference(inside) == meaning


@pytest.mark.parametrize(
    ("inside", "fault"),
    [
        ("env:", "names no environment variable"),
        ("env:A=B", "names no environment variable"),
        ("context:today", "names nothing of the context"),
        ("context:", "names nothing of the context"),
        ("aws:ssm:", "names no parameter of the store"),
        ("aws:ssm:/a b", "names no parameter of the store"),
        ("aws:ssm:resolve()", "resolves nothing that has a value"),
        ("aws:ssm:resolve(env:X)", "resolves nothing that has a value"),
        ("aws:imds:", "names no metadata"),
        ("aws:imds:../user-data", "names no metadata"),
        ("aws:imds:./iam/info", "names no metadata"),
        ("aws:imds:iam/security-credentials/x", "asks for the machine's credentials"),
        ("aws:imds:iam", "asks for the machine's credentials"),
        ("aws:imds:Identity-Credentials/ec2/info", "asks for the machine's credentials"),
    ],
)
def test_parse_reference_when_form_is_known_and_can_never_be_filled_says_why(
    inside: str, fault: str
) -> None:
    found = parse_reference(inside)
    assert isinstance(found, UnusableReference)
    assert found.fault.startswith(fault)


def test_substitute_text_when_reference_is_unusable_leaves_it() -> None:
    assert substitute_text("{{ context:now }}", lambda _: "x") == "{{ context:now }}"


def test_references_in_when_value_is_nested_gives_them_in_order() -> None:
    found = list(
        references_in(
            {
                "a": ["{{ One }} {{ Two }}", 3, None, True],
                "{{ Key }}": {"b": "x {{Three}}"},
            }
        )
    )
    assert [f.written for f in found] == ["{{ One }}", "{{ Two }}", "{{Three}}"]
    assert [f.start for f in found] == [0, 10, 2]


def test_references_in_when_braces_span_lines_or_nest_finds_none() -> None:
    assert list(references_in(["{{ a\nb }}", "{{a,b},{c}}", "{{ x", "x }}"])) == []


def test_substitute_when_lookup_knows_fills_every_string_and_nothing_else() -> None:
    assert substitute(
        {"commands": ["echo {{ Name }}-{{Name}}", 7, None, False], "{{ Name }}": "x"}, lambda _: "v"
    ) == {
        "commands": ["echo v-v", 7, None, False],
        "{{ Name }}": "x",
    }


def test_substitute_when_lookup_does_not_know_leaves_the_text() -> None:
    assert substitute_text("{{ range }} {{.Name}}", lambda _: None) == "{{ range }} {{.Name}}"


def test_substitute_when_text_is_a_template_never_asks_lookup() -> None:
    asked: list[Reference] = []

    def lookup(reference: Reference) -> str:
        asked.append(reference)
        return "v"

    assert substitute_text("{{.Name}} {{ Name }}", lookup) == "{{.Name}} v"
    assert asked == [NamedValue(name="Name")]


@given(NAMES, st.text())
def test_substitute_when_value_holds_braces_or_escapes_puts_it_in_as_it_is(
    name: str, value: str
) -> None:
    assert substitute_text(f"<{{{{ {name} }}}}>", lambda _: value) == f"<{value}>"


@given(st.text())
def test_substitute_when_nothing_is_known_changes_nothing(text: str) -> None:
    assert substitute_text(text, lambda _: None) == text


@given(NAMES, NAMES, st.sampled_from(Side), NAMES, st.none() | st.integers(0, 999_999))
def test_parse_reference_when_it_was_written_by_its_rules_gives_its_parts_back(
    phase: str, step: str, side: Side, key: str, index: int | None
) -> None:
    place = "" if index is None else f"[{index}]"
    wanted = StepValue(phase=phase, step=step, side=side, key=key, index=index)
    assert parse_reference(f"{phase}.{step}.{side}{place}.{key}") == wanted
