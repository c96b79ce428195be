"""Which documents a component is known to run before it runs."""

from typing import Any

import pytest

from imagebuilder.domain.actions import ActionName
from imagebuilder.domain.component import ComponentStep, Parameter
from imagebuilder.domain.loops import CountingLoop, ListLoop
from imagebuilder.domain.nesting import (
    DocumentRefused,
    DocumentsCircular,
    DocumentUse,
    document_use,
    known_uses,
    require_room,
)
from imagebuilder.domain.origin import Origin
from tests.build import a_component, a_component_step


def runs(document: str, **more: Any) -> ComponentStep:
    given = {"document": document, **more.pop("inputs", {})}
    return a_component_step("Run", ActionName.EXECUTE_DOCUMENT, inputs=given, **more)


def known(step: ComponentStep, **parameters: str) -> list[str]:
    component = a_component(build=[step], constants={"folder": "parts"})
    return [use.reference for _, use in known_uses(component, parameters)]


def test_known_uses_when_names_are_declared_then_are_filled() -> None:
    assert known(runs("{{ folder }}/{{ name }}.yaml"), name="web") == ["parts/web.yaml"]


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (ListLoop(items=("a", "{{ name }}")), ["0-a", "1-web"]),
        (CountingLoop(start=1, end=2, update_by=1), ["0-1", "1-2"]),
        (CountingLoop(start="{{ none }}", end=2, update_by=1), []),
    ],
)
def test_known_uses_when_there_is_a_loop_then_each_turn_has_its_own(
    loop: Any, expected: list[str]
) -> None:
    step = runs("{{ loop.index }}-{{ loop.value }}", loop=loop)
    assert known(step, name="web") == expected


@pytest.mark.parametrize(
    "document", ["/opt/in/image.yaml", "{{ build.Ask.outputs.stdout }}", "{{ Other.value }}.yaml"]
)
def test_known_uses_when_only_the_run_can_tell_then_it_is_not_among_them(document: str) -> None:
    assert known(runs(document, loop=ListLoop(items=("a",), name="Mine"))) == []


def test_document_use_then_gives_phases_and_parameters() -> None:
    use = document_use(
        {
            "document": " file:///a.yaml ",
            "phases": "validate, build",
            "parameters": [{"name": "port", "value": 80}, "nothing"],
        }
    )
    assert (use.reference, use.phases) == ("/a.yaml", ("validate", "build"))
    assert use.parameters == {"port": "80"}
    assert use.is_in_image


def test_phases_of_then_are_in_the_documents_order() -> None:
    component = a_component(build=[runs("a")], validate=[runs("b")])
    asked = DocumentUse(reference="a", phases=("validate", "build", "other"))
    assert asked.phases_of(component) == ("build", "validate")
    assert DocumentUse(reference="a").phases_of(component) == ("build", "validate")


def a_parameter(name: str) -> Parameter:
    return Parameter(name=name)


def test_values_for_then_defaults_hold_and_unknown_names_are_left_out() -> None:
    parameters = (Parameter(name="one", default="1"), *map(a_parameter, ("two", "three")))
    use = DocumentUse(reference="a", parameters={"two": "2", "unknown": "x"})
    assert use.values_for(a_component(parameters=parameters)) == {"one": "1", "two": "2"}


@pytest.mark.parametrize("beginning", ["s3://b/k", "arn:aws:x", "http://e/x", "https://e/x"])
def test_document_use_when_it_lies_elsewhere_then_says_what_to_do(beginning: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        document_use({"document": beginning})
    assert beginning in refused.value.message
    assert refused.value.hint


def test_known_uses_when_it_lies_elsewhere_then_says_which_step_asks() -> None:
    origin = Origin(document="/c/outer.yaml", line=7, column=9)
    with pytest.raises(DocumentRefused) as refused:
        known(runs("s3://b/k", origin=origin))
    assert refused.value.origin == origin


def test_document_use_when_there_is_none_then_its_name_is_empty() -> None:
    assert document_use(None).reference == ""


def test_require_room_when_three_lie_below_the_top_then_there_is_room() -> None:
    require_room(["top", "a", "b", "c"])


def test_require_room_when_a_fourth_lies_below_then_it_is_too_deep() -> None:
    with pytest.raises(DocumentsCircular, match="Document d lies too deep") as refused:
        require_room(["top", "a", "b", "c", "d"])
    assert refused.value.context == "top -> a -> b -> c -> d"


def test_require_room_when_one_comes_back_then_it_is_a_circle() -> None:
    with pytest.raises(DocumentsCircular, match="Document top runs itself again"):
        require_room(["top", "a", "top"])


def test_digest_then_covers_what_it_runs_and_asks_for() -> None:
    plain = a_component(build=[runs("a.yaml")])
    inner = a_component("inner")
    other = a_component("inner", test=[a_component_step()])
    with_inner = a_component(build=[runs("a.yaml")], documents={"a.yaml": inner})
    with_other = a_component(build=[runs("a.yaml")], documents={"a.yaml": other})
    assert len({c.layer_digest for c in (plain, with_inner, with_other)}) == 3


def test_updates_packages_when_a_document_below_does_then_is_so() -> None:
    inner = a_component("inner", build=[a_component_step("Up", ActionName.UPDATE_OS)])
    middle = a_component("middle", build=[runs("i")], documents={"i": inner})
    assert a_component(build=[runs("m")], documents={"m": middle}).updates_packages
    assert not a_component(build=[runs("m")], documents={"m": middle}).only_updates_packages
