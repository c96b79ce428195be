"""Which components there are, what they need and who uses them."""

import pytest

from imagebuilder.domain.component import ComponentAmbiguous, ComponentNotFound
from imagebuilder.services.browsing import Browsing, needs_of
from tests.fakes.documents import FakeDocumentSource

HERE = "/w/any.yaml"
STEP = "phases: [{name: build, steps: [{name: Do, action: %s, inputs: %s}]}]\n"
BASH = STEP % ("ExecuteBash", "{commands: ['%s']}")


def a_document(name: str, more: str = "", steps: str = BASH % "true") -> str:
    return f"name: {name}\nschemaVersion: 1.0\n{more}{steps}"


def browsing(**documents: str) -> Browsing:
    """Give a look at documents. Shape: a name in components -> text."""
    source = {f"/w/components/{name}/component.yaml": text for name, text in documents.items()}
    recipe = "kind: Recipe\nname: %s\nversion: 1.0.x\nparent: debian:bookworm\ncomponents: [%s]\n"
    source["/w/recipes/named.yaml"] = recipe % ("named", "web@1.x")
    source["/w/recipes/other.yaml"] = recipe % ("other", "web@2.x")
    source["/w/recipes/pathed.yaml"] = recipe % ("pathed", "../components/web/component.yaml")
    source["/w/recipes/broken.yaml"] = "kind: Recipe\n"
    return Browsing(FakeDocumentSource(source))


def test_list_then_all_are_there_by_name_and_version() -> None:
    listed = browsing(
        b=a_document("web", "version: 1.10.0\n"),
        a=a_document("web", "version: 1.9.0\n"),
        c=a_document("app"),
    ).list(HERE)

    versions = [str(each.component.version) for each in listed if each.component]
    assert [each.name for each in listed] == ["app", "web", "web"]
    assert versions == ["1.0.0", "1.9.0", "1.10.0"]


def test_list_when_a_document_has_faults_then_it_is_listed_with_them() -> None:
    (listed,) = browsing(a="name: web\nschemaVersion: 1.0\nphasse: []\n").list(HERE)

    assert (listed.name, listed.component) == ("web", None)
    assert any("phasse" in problem.message for problem in listed.problems)


@pytest.mark.parametrize("search", ["WEB", "page serving", "prod", "team"])
def test_list_when_searched_then_name_description_and_tags_are_looked_at(search: str) -> None:
    web = a_document("web", "description: Page serving.\ntags: {team: Production}\n")

    listed = browsing(web=web, other=a_document("other")).list(HERE, search)

    assert [each.name for each in listed] == ["web"]


def test_names_then_each_is_there_once() -> None:
    looked = browsing(
        b=a_document("web", "version: 1.1.0\n"), a=a_document("web"), c="name: app\nfaulty: 1\n"
    )

    assert looked.names(HERE) == ("app", "web")


@pytest.mark.parametrize(
    ("more", "steps", "words"),
    [
        ("network: none\n", BASH % "true", ("root",)),
        ("", BASH % "true", ("root", "network packages")),
        ("network: full\n", BASH % "x {{ aws:ssm:/a }}", ("root", "network full", "secrets")),
        (
            "network: none\nparameters: [{nameOf: {type: string}}]\n",
            BASH % "{{ aws:ssm:resolve(nameOf) }}",
            ("root", "secrets"),
        ),
        (
            "network: none\n",
            STEP % ("ExecutePowerShell", "{commands: [dir]}"),
            ("root", "Windows"),
        ),
        ("network: none\nplatform: Windows\n", BASH % "true", ("root", "Windows")),
    ],
)
def test_needs_then_each_is_said(more: str, steps: str, words: tuple[str, ...]) -> None:
    shown = browsing(web=a_document("web", more, steps)).show("web", HERE)

    assert shown.needs.words == words
    assert needs_of(shown.component) == shown.needs


def test_show_then_the_recipes_that_use_it_are_named() -> None:
    shown = browsing(web=a_document("web")).show("web", HERE)

    assert shown.recipes == ("/w/recipes/named.yaml", "/w/recipes/pathed.yaml")


def test_show_when_a_file_is_asked_for_then_it_is_that_one() -> None:
    looked = browsing(web=a_document("web"), draft=a_document("web", "version: 3.0.0\n"))

    shown = looked.show("/w/components/draft/component.yaml", HERE)

    assert str(shown.component.version) == "3.0.0"
    assert shown.recipes == ()


def test_show_when_only_a_name_is_given_then_it_is_the_newest() -> None:
    looked = browsing(
        a=a_document("web", "version: 1.9.0\n"), b=a_document("web", "version: 1.10.0\n")
    )

    assert str(looked.show("web", HERE).component.version) == "1.10.0"
    assert str(looked.show("web@1.9.0", HERE).component.version) == "1.9.0"


def test_show_when_the_version_is_not_there_then_says_which_are() -> None:
    with pytest.raises(ComponentNotFound) as missing:
        browsing(web=a_document("web")).show("web@7.0.0", HERE)

    assert missing.value.context == "There is 1.0.0."


def test_show_when_the_name_is_not_there_then_says_what_may_be_meant() -> None:
    with pytest.raises(ComponentNotFound) as missing:
        browsing(web=a_document("nginx")).show("ngnix", HERE)

    assert missing.value.hint == "Did you mean nginx?"


def test_show_when_two_are_the_same_version_then_both_are_named() -> None:
    with pytest.raises(ComponentAmbiguous) as unclear:
        browsing(a=a_document("web"), b=a_document("web")).show("web", HERE)

    assert "/w/components/a" in unclear.value.context
