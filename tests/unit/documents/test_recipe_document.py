"""Recipe documents become the domain's recipes; what the schema cannot say is checked too."""

from pathlib import Path

import pytest

from imagebuilder.documents.problems import InvalidDocument, Problem
from imagebuilder.documents.reader import read_recipe, recipe_name
from imagebuilder.documents.recipe_document import parameter_problem
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import ComponentName, ImageName
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.recipe import (
    AmiParent,
    ArtifactFormat,
    ComponentUse,
    DiskSpec,
    Firmware,
    ImageParent,
    PackerParent,
    Parent,
    Recipe,
    Repository,
    RootfsParent,
    Suite,
    SuiteParent,
    parent_text,
)
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.units import GIB
from imagebuilder.domain.versions import RecipeVersion, Wildcard

GOLDEN = Path(__file__).parents[2] / "golden" / "recipes"
START = "kind: Recipe\nname: web\nversion: 1.0.x\n"


def a_recipe(rest: str = "parent: debian:sid\n") -> Recipe:
    return read_recipe(START + rest, "r.yaml").value


def problems_of(rest: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidDocument) as caught:
        a_recipe(rest)
    return caught.value.problems


def test_recipe_when_only_required_keys_are_written_has_the_defaults() -> None:
    text = START + "parent: debian:sid\n"
    assert read_recipe(text, "r.yaml").value == Recipe(
        name=ImageName("web"),
        version=RecipeVersion(1, 0, None),
        parent=SuiteParent(suite=Suite.SID),
        text=text,
        origin=Origin(document="r.yaml"),
        parent_origin=Origin(document="r.yaml", line=4, column=9),
    )


def test_recipe_when_every_key_is_written_has_every_value() -> None:
    text = (GOLDEN / "every-key.yaml").read_text(encoding="utf-8")
    recipe = read_recipe(text, "r.yaml").value
    assert recipe.parent == SuiteParent(
        suite=Suite.TRIXIE,
        mirror="http://mirror.example.org/debian",
        keyring="/usr/share/keyrings/example.gpg",
        snapshot="20261101T000000Z",
    )
    assert [(u.name, u.path, str(u.wildcard)) for u in recipe.components] == [
        ("base", None, "x.x.x"),
        ("nginx", None, "1.x.x"),
        (None, "./beside/extra.yaml", "x.x.x"),
        ("tuned", None, "2.1.x"),
    ]
    assert recipe.components[3].parameters == {
        "processes": "2",
        "is_quiet": "true",
        "motto": "a: b",
    }
    assert tuple(test.path for test in recipe.tests) == ("tests/web", "tests/base/test_boot.py")
    assert set(recipe.artifacts) == set(ArtifactFormat)
    assert recipe.disk == DiskSpec(size_bytes=4 * GIB, firmware=(Firmware.BIOS, Firmware.UEFI))
    assert recipe.repositories == (
        Repository(
            url="https://packages.example.org/debian",
            suites=("trixie", "trixie-updates"),
            components=("main", "contrib"),
            keyring="/usr/share/keyrings/example.gpg",
        ),
        Repository(url="file:///srv/packages", suites=("./",)),
    )
    assert (recipe.max_age_seconds, recipe.description) == (7 * 86400, "A web server.")
    cis, own = recipe.compliance
    assert (cis.profile, cis.content) == ("cis_level1_server", "ssg-debian13@0.1.82")
    assert (cis.unselect, cis.variables) == (
        ("package_aide_installed",),
        {"var_password_pam_minlen": "14"},
    )
    assert (cis.is_booted, cis.fail_on) == (False, Severity.HIGH)
    assert (own.profile, own.controls, own.unselect) == ("acme", "controls/acme", ("ACME-SSH-02",))
    assert own.fail_on is None


def test_recipe_when_one_scan_is_written_without_a_list_then_asks_for_it() -> None:
    text = START + "parent: debian:sid\ncompliance: {profile: cis, controls: own}\n"

    (scan,) = read_recipe(text, "r.yaml").value.compliance

    assert (scan.profile, scan.controls) == ("cis", "own")


def test_recipe_when_a_scan_is_to_see_what_runs_then_asks_for_it_but_not_of_own_controls() -> None:
    text = START + "parent: debian:sid\ncompliance: {profile: cis, booted: true}\n"
    own = "parent: debian:sid\ncompliance: {controls: own, booted: true}\n"

    (scan,) = read_recipe(text, "r.yaml").value.compliance

    assert scan.is_booted
    assert "'booted' does not go with controls of your own" in str(problems_of(own))


@pytest.mark.parametrize(
    "written",
    ["{profile: 'a b'}", "{controls: 'a b'}", "{content: ssg}", "[]", "cis", "{booted: 'true'}"],
)
def test_recipe_when_a_scan_makes_no_sense_then_says_so(written: str) -> None:
    assert problems_of(f"parent: debian:sid\ncompliance: {written}\n")


@pytest.mark.parametrize(
    ("written", "parent"),
    [
        ("debian:bookworm", SuiteParent(suite=Suite.BOOKWORM)),
        ("{from: debian:trixie}", SuiteParent(suite=Suite.TRIXIE)),
        ("image:base", ImageParent(name=ImageName("base"))),
        ("image:base@1.x", ImageParent(name=ImageName("base"), asked="1.x")),
        ("image:base@1.2.3/4", ImageParent(name=ImageName("base"), asked="1.2.3/4")),
        ("rootfs:a b/root.tar", RootfsParent(path="a b/root.tar")),
        (
            f"{{from: 'rootfs:x.tar', sha256: {'a' * 64}}}",
            RootfsParent(path="x.tar", sha256=Digest("a" * 64)),
        ),
    ],
)
def test_recipe_when_parent_is_written_so_takes_it(written: str, parent: Parent) -> None:
    assert a_recipe(f"parent: {written}\n").parent == parent


@pytest.mark.parametrize(
    ("written", "use"),
    [
        ("nginx", ComponentUse(name=ComponentName("nginx"))),
        ("nginx@x", ComponentUse(name=ComponentName("nginx"))),
        ("nginx@1.2.3", ComponentUse(name=ComponentName("nginx"), wildcard=Wildcard((1, 2, 3)))),
        ("nginx@1.x.x", ComponentUse(name=ComponentName("nginx"), wildcard=Wildcard((1,)))),
        ("../c/n.yaml", ComponentUse(path="../c/n.yaml")),
        ("n.yaml", ComponentUse(path="n.yaml")),
    ],
)
def test_recipe_when_component_is_written_so_asks_for_it(written: str, use: ComponentUse) -> None:
    found = a_recipe(f"parent: debian:sid\ncomponents: [{written}]\n").components[0]
    assert (found.name, found.path, found.wildcard) == (use.name, use.path, use.wildcard)
    assert found.origin == Origin(document="r.yaml", line=5, column=14)


def test_recipe_when_parameters_look_like_numbers_keeps_them_as_written() -> None:
    text = "parent: debian:sid\ncomponents: [{component: a, parameters: {x: 010, y: 1.50}}]\n"
    assert a_recipe(text).components[0].parameters == {"x": "010", "y": "1.50"}


@pytest.mark.parametrize(
    ("rest", "place", "hint"),
    [
        ("parent: debian:bookwrm", "4:9", "Did you mean debian:bookworm?"),
        ("parent: image:base@1.x.3", "4:19", "Write @1.x"),
        ("parent: {from: debian:sid, sha256: x}", "4:28", "begin with rootfs"),
        ("parent: {from: debian:sid, snapshot: 20261131T000000Z}", "4:38", "Write year"),
        (
            "parent: {from: debian:sid, mirror: 'http://u:p@example.org'}",
            "4:36",
            "IMAGEBUILDER_MIRROR",
        ),
        ("parent: {mirror: 'http://example.org'}", "4:9", "such as from: debian:bookworm"),
        ("parent: debian:sid\ncomponents: [a@1.x.3]", "5:15", "right of an x"),
        ("parent: debian:sid\ntests: ['pack:shh']", "5:9", "Did you mean ssh?"),
        ("parent: debian:sid\ntests: [{path: pack:tls}]", "5:16", "There are ssh"),
        ("parent: debian:sid\ntests: [a, {path: a}]", "5:19", "List them once"),
        ("parent: debian:sid\ntests: [{path: a, timeout: 11m}]", "5:28", "at most 600s"),
        ("parent: debian:sid\ntests: [{variables: {x: 1}}]", "5:9", "such as path: tests/web"),
        ("parent: debian:sid\ndisk: {size: 900000000000TiB}", "5:14", "4GiB"),
        (
            "parent: debian:sid\nrepositories: [{url: 'https://t@example.org/', suites: [x]}]",
            "5:22",
            "IMAGEBUILDER_MIRROR",
        ),
    ],
)
def test_recipe_when_a_value_cannot_be_meant_says_where_and_what_to_write(
    rest: str, place: str, hint: str
) -> None:
    first = problems_of(rest + "\n")[0]
    assert (str(first.origin), hint in first.hint) == (f"r.yaml:{place}", True), first


def test_recipe_when_address_holds_a_password_never_repeats_it() -> None:
    rest = "parent: {from: debian:sid, mirror: 'http://me:hunter2@example.org', x: 1}\n"
    with pytest.raises(InvalidDocument) as caught:
        a_recipe(rest)
    assert len(caught.value.problems) == 2
    assert "hunter2" not in f"{caught.value.message}{caught.value.context}{caught.value.hint}"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("timeout: 2", "a duration such as 90s or 5m"),
        ("timeout: 2h", "No test may take 2h."),
        ("retries: 6", "a whole number from 0 to 5"),
        ("variables: {x: []}", "'x' should not be empty"),
        ("variables: {x: {y: 1}}", "text, a number, true or false, or a list of these"),
        ("variables: {x-y: 1}", "a name of letters, digits and underscores"),
    ],
)
def test_recipe_when_a_wish_of_tests_does_not_fit_says_what_would(
    written: str, message: str
) -> None:
    (problem,) = problems_of(f"parent: debian:sid\ntests: [{{path: a, {written}}}]\n")
    assert message in problem.message


def test_recipe_when_tests_have_wishes_takes_them_in_their_types() -> None:
    written = "{path: a, variables: {p: [80, 443], w: yes, t: true}, retries: 2, timeout: 5m}"
    (test, plain) = a_recipe(f"parent: debian:sid\ntests: [{written}, b]\n").tests
    assert test.variables == {"p": [80, 443], "w": "yes", "t": True}
    assert (test.path, test.retries, test.timeout_seconds) == ("a", 2, 300)
    assert (plain.path, plain.variables, plain.retries, plain.timeout_seconds) == ("b", {}, 0, None)


def test_recipe_when_many_things_are_wrong_gives_all_of_them() -> None:
    rest = "parent: debian:x\ntests: 1\nartifacts: [iso]\ncolour: red\ndisk: {size: 1}\n"
    assert [p.origin.line for p in problems_of(rest)] == [4, 5, 6, 7, 8]


def test_parameter_problem_when_parameter_is_written_stands_at_its_key() -> None:
    recipe = a_recipe("parent: debian:sid\ncomponents:\n- component: a\n  parameters: {x: 1}\n")
    problem = parameter_problem(recipe, recipe.components[0], "x", "It is wrong.", "")
    assert (str(problem.origin), problem.line) == ("r.yaml:7:16", "  parameters: {x: 1}")


def test_parameter_problem_when_parameter_is_not_written_stands_at_the_component() -> None:
    recipe = a_recipe("parent: debian:sid\ncomponents: [a]\n")
    problem = parameter_problem(recipe, recipe.components[0], None, "It is wrong.", "")
    assert str(problem.origin) == "r.yaml:5:14"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("kind: Recipe\nname: web # the web\n", "web"),
        ("'kind': \"Recipe\"\n'name':  'web'\r\n", "web"),
        ("name: web\n", None),
        ("kind: Pipeline\nname: web\n", None),
        ("kind: Recipe\ndisk:\n  name: web\n", None),
        ("kind: Recipe\nname:\n", None),
    ],
)
def test_recipe_name_when_glanced_at_is_the_one_at_the_top(text: str, name: str | None) -> None:
    assert recipe_name(text) == name


@pytest.mark.parametrize(
    "rest",
    [
        "parent: [1]",
        "components: [1, [], {component: 1}]",
        "repositories: [1]",
        "disk: 1",
        "compliance: [1]",
    ],
)
def test_recipe_when_values_are_of_another_type_gives_problems_and_no_other_error(
    rest: str,
) -> None:
    assert problems_of(f"{rest}\n")


def test_recipe_when_packer_builds_it_on_an_ami_then_all_sources_start_from_that() -> None:
    recipe = read_recipe((GOLDEN / "packer-ami.yaml").read_text(), "packer-ami.yaml").value

    starts = {(s.settings["source_ami"], s.settings["region"]) for s in recipe.sources}
    assert starts == {("ami-0123456789abcdef0", "eu-central-1")}
    assert len(recipe.sources) == 2


def test_recipe_when_it_is_built_on_an_ami_then_has_its_region_id_and_the_way_in() -> None:
    recipe = read_recipe((GOLDEN / "ami-parent.yaml").read_text(), "ami-parent.yaml").value

    assert recipe.parent == AmiParent(
        ami="ami-0123456789abcdef0",
        region="eu-central-1",
        role="arn:aws:iam::123456789012:role/golden-read",
        external_id="env:EXTERNAL_ID",
        origin=recipe.parent_origin,
    )
    assert parent_text(recipe.parent) == "ami:eu-central-1/ami-0123456789abcdef0"


def test_recipe_when_packer_builds_it_then_its_sources_are_as_they_are_written() -> None:
    recipe = read_recipe((GOLDEN / "packer.yaml").read_text(), "packer.yaml").value

    frankfurt, qemu = recipe.sources
    assert recipe.parent == PackerParent(what="debian-12-amd64")
    assert (frankfurt.type, frankfurt.name, qemu.name) == ("amazon-ebs", "frankfurt", "qemu")
    assert frankfurt.settings["source_ami_filter"] == {
        "filters": {"name": "debian-12-amd64-*"},
        "owners": ["136693071363"],
        "most_recent": True,
    }
    assert set(frankfurt.references.values()) == {"env:AWS_ACCESS_KEY_ID", "file:/run/secrets/aws"}
    assert qemu.references == {}
