import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagebuilder.adapters.local.workplace import working_folder


def test_working_folder_is_gone_when_its_context_ends(tmp_path: Path) -> None:
    with working_folder(tmp_path, "disk-") as folder:
        (folder / "disk.raw").write_text("x")

    assert list(tmp_path.iterdir()) == []


def test_working_folder_is_gone_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), working_folder(tmp_path, "disk-"):
        raise KeyError

    assert list(tmp_path.iterdir()) == []


def test_working_folder_of_a_living_owner_is_left_alone(tmp_path: Path) -> None:
    with working_folder(tmp_path, "disk-") as mine, working_folder(tmp_path, "disk-"):
        assert mine.exists()


def test_working_folder_of_a_killed_process_is_gone_with_the_next(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from imagebuilder.adapters.local.workplace import working_folder\n"
        "with working_folder(Path(sys.argv[1]), 'disk-') as folder:\n"
        "    print(folder, flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as owner:
        assert owner.stdout is not None
        left = Path(owner.stdout.readline().strip())
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    assert left.is_dir()

    with working_folder(tmp_path, "disk-"):
        assert not left.exists()
