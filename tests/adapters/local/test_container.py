"""Control groups of containers, and what a boot in one is asked for."""

import os
from pathlib import Path

import pytest

from imagebuilder.adapters.local.container import Containers
from imagebuilder.adapters.local.containment import control_groups, sweep
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.ports.inspection import BootFailed

GONE = 4_194_305
"""More than the largest process id there can be."""


def a_proc(tmp_path: Path, cgroup: str, *mounts: str) -> Path:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(cgroup)
    (tmp_path / "self/mountinfo").write_text("".join(f"{line}\n" for line in mounts))
    return tmp_path


def test_control_groups_on_a_unified_machine_then_there_is_one_below_our_own(
    tmp_path: Path,
) -> None:
    root = tmp_path / "cgroup"
    (root / "user/session").mkdir(parents=True)
    proc = a_proc(
        tmp_path, "0::/user/session\n", f"1 2 0:3 / {root} rw - cgroup2 cgroup2 rw,nsdelegate"
    )
    with control_groups(proc) as groups:
        (group,) = groups
        assert group.parent == root / "user/session"
        assert group.is_dir()
    assert not group.exists()


def test_control_groups_on_a_hybrid_machine_then_both_hierarchies_get_one(tmp_path: Path) -> None:
    old, new, memory = tmp_path / "systemd", tmp_path / "unified", tmp_path / "memory"
    for folder in (old, new, memory):
        folder.mkdir()
    proc = a_proc(
        tmp_path,
        "9:name=systemd:/\n4:memory:/\n0::/\n",
        f"1 2 0:3 / {old} rw - cgroup cgroup rw,name=systemd",
        f"1 2 0:4 / {memory} rw - cgroup cgroup rw,memory",
        f"1 2 0:5 / {new} rw - cgroup2 cgroup2 rw",
    )
    with control_groups(proc) as groups:
        assert {g.parent for g in groups} == {old, new}


def test_control_groups_where_none_may_be_made_then_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mount = f"1 2 0:3 / {tmp_path}/file rw - cgroup2 c rw"
    with control_groups(a_proc(tmp_path, "0::/\n", mount)) as groups:
        assert groups == ()


def test_sweep_then_only_groups_of_gone_processes_are_removed(tmp_path: Path) -> None:
    gone = tmp_path / f"imagebuilder-{GONE}-0a"
    (gone / "payload/init.scope").mkdir(parents=True)
    ours = tmp_path / f"imagebuilder-{os.getpid()}-0a"
    ours.mkdir()
    foreign = tmp_path / "imagebuilder-mine"
    foreign.mkdir()
    sweep(tmp_path)
    assert [p.exists() for p in (gone, ours, foreign)] == [False, True, True]


@pytest.mark.root
def test_boot_of_an_empty_root_then_it_fails_and_says_why(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=test\n")
    containers = Containers(
        SystemCommandRunner(SystemClock()), SystemClock(), tmp_path / "work", boot_seconds=20
    )
    with pytest.raises(BootFailed) as failure, containers.boot(root):
        pytest.fail("it came up")
    assert "the container ended" in failure.value.message
    assert failure.value.context
    assert sorted(p.name for p in root.iterdir()) == ["etc", "usr"]
    assert list((tmp_path / "work").iterdir()) == []
