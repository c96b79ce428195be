"""What doctor tells and does."""

from pathlib import PurePath

import pytest

from imagebuilder.ports.process import Command, CommandResult, ProgramMissing
from imagebuilder.services.diagnosing import Diagnosing, Diagnosis, PackagesNotInstalled
from tests.fakes.host import FakeHost
from tests.fakes.process import FakeCommandRunner, a_result
from tests.fakes.sharing import FakeSharedStore

HOME = PurePath("/srv/imagebuilder")


def diagnosing(host: FakeHost, runner: FakeCommandRunner | None = None) -> Diagnosing:
    return Diagnosing(host, runner or FakeCommandRunner(), HOME)


def row(diagnoses: tuple[Diagnosis, ...], name: str) -> Diagnosis:
    return next(diagnosis for diagnosis in diagnoses if diagnosis.name == name)


def test_check_when_nothing_is_missing_then_everything_is_present() -> None:
    assert all(diagnosis.is_present for diagnosis in diagnosing(FakeHost()).check())


def test_check_names_each_thing_once_and_what_it_is_for() -> None:
    diagnoses = diagnosing(FakeHost()).check()

    assert len({d.name for d in diagnoses}) == len(diagnoses)
    assert all(d.needed_for for d in diagnoses)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("mmdebstrap", "mmdebstrap"),
        ("bwrap", "bubblewrap"),
        ("systemd-nspawn", "systemd-container"),
        ("qemu-io", "qemu-utils"),
        ("/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin"),
        ("setpriv", "util-linux"),
    ],
)
def test_check_when_something_is_missing_then_names_its_package(name: str, package: str) -> None:
    found = row(diagnosing(FakeHost(missing={name})).check(), name)

    assert (found.is_present, found.package) == (False, package)


def test_check_when_not_root_then_says_what_to_do() -> None:
    found = row(diagnosing(FakeHost(has_root=False)).check(), "root")

    assert (found.is_present, found.is_required, found.package) == (False, True, "")
    assert "sudo" in found.detail


def test_check_when_layers_cannot_be_mounted_then_says_why() -> None:
    found = row(diagnosing(FakeHost(no_overlay="unknown file system")).check(), "overlay mounts")

    assert (found.is_present, found.detail) == (False, "unknown file system")


def test_check_when_space_is_short_then_says_how_much_there_is() -> None:
    found = row(diagnosing(FakeHost(free=3 * 2**30)).check(), "free space")

    assert not found.is_present
    assert found.detail.startswith("3.0 GiB at /srv/imagebuilder")


def test_check_when_there_are_no_user_namespaces_then_builds_still_work() -> None:
    found = row(diagnosing(FakeHost(no_user_namespace="forbidden")).check(), "user namespaces")

    assert (found.is_present, found.is_required) == (False, False)


def test_check_when_only_scans_lack_their_engine_then_builds_still_work() -> None:
    found = row(diagnosing(FakeHost(missing={"oscap"})).check(), "oscap")

    assert (found.is_present, found.is_required, found.package) == (
        False,
        False,
        "openscap-scanner",
    )


def apt(host: FakeHost) -> FakeCommandRunner:
    """Give an apt-get that installs what the host is missing."""

    def answer(command: Command) -> CommandResult:
        if "install" in command.argv:
            host.missing.clear()
        return a_result(stdout=b"Setting up things\n")

    return FakeCommandRunner({"apt-get": answer, "sudo": answer})


def test_fix_when_nothing_is_missing_then_runs_nothing() -> None:
    runner = FakeCommandRunner()

    diagnosing(FakeHost(), runner).fix()

    assert runner.commands == []


def test_fix_installs_each_missing_package_once_and_gives_what_is_there_then() -> None:
    host = FakeHost(missing={"qemu-img", "qemu-io", "mcopy"})
    runner = apt(host)

    diagnoses = diagnosing(host, runner).fix()

    assert runner.commands[-1].argv[-2:] == ("mtools", "qemu-utils")
    assert all(diagnosis.is_present for diagnosis in diagnoses)


def test_fix_when_the_machine_has_no_engine_for_scans_then_the_rest_is_installed() -> None:
    host = FakeHost(missing={"oscap", "bwrap"})

    def answer(command: Command) -> CommandResult:
        if "openscap-scanner" in command.argv:
            return a_result(100, stderr=b"E: Unable to locate package openscap-scanner")
        host.missing -= {"bwrap"} if "install" in command.argv else set()
        return a_result()

    diagnoses = diagnosing(host, FakeCommandRunner({"apt-get": answer})).fix()

    assert row(diagnoses, "bwrap").is_present
    assert not row(diagnoses, "oscap").is_present


@pytest.mark.parametrize(("has_root", "first"), [(True, "apt-get"), (False, "sudo")])
def test_fix_uses_sudo_only_when_not_root(has_root: bool, first: str) -> None:  # noqa: FBT001
    host = FakeHost(missing={"bwrap"}, has_root=has_root)
    runner = apt(host)

    diagnosing(host, runner).fix()

    assert {command.argv[0] for command in runner.commands} == {first}


def test_fix_tells_what_is_installed_line_by_line() -> None:
    host = FakeHost(missing={"bwrap"})
    lines: list[str] = []

    diagnosing(host, apt(host)).fix(lines.append)

    assert "Setting up things" in lines


def test_fix_when_the_update_fails_then_the_installation_is_tried_all_the_same() -> None:
    host = FakeHost(missing={"bwrap"})

    def answer(command: Command) -> CommandResult:
        if "update" in command.argv:
            return a_result(100)
        host.missing.clear()
        return a_result()

    diagnoses = diagnosing(host, FakeCommandRunner({"apt-get": answer})).fix()

    assert row(diagnoses, "bwrap").is_present


def test_fix_when_the_installation_fails_then_names_the_packages_and_the_reason() -> None:
    runner = FakeCommandRunner({"apt-get": a_result(100, stderr=b"Unable to locate package\n")})

    with pytest.raises(PackagesNotInstalled, match=r"^The packages bubblewrap could") as caught:
        diagnosing(FakeHost(missing={"bwrap"}), runner).fix()

    assert caught.value.context == "Unable to locate package"
    assert caught.value.hint.endswith("apt-get install bubblewrap")


def test_fix_when_there_is_no_package_manager_then_says_so() -> None:
    with pytest.raises(ProgramMissing):
        diagnosing(FakeHost(missing={"bwrap"})).fix()


def test_check_when_machines_share_a_store_then_tells_whether_it_answers() -> None:
    shared = FakeSharedStore()
    doctor = Diagnosing(FakeHost(), FakeCommandRunner(), HOME, shared)

    answering = row(doctor.check(), "shared store")
    shared.silent = True
    silent = row(doctor.check(), "shared store")

    assert (answering.is_present, answering.detail) == (True, "fake://store")
    assert (silent.is_present, silent.is_required) == (False, False)
    assert silent.detail == "fake://store: Connection refused."
