import os
import signal
import subprocess
import sys

import pytest

from imagebuilder.adapters.local.workplace import working_folder


def test_working_folder_is_gone_when_its_context_ends(tmp_path):
    with working_folder(tmp_path, "disk-") as folder:
        (folder / "disk.raw").write_text("x")

    assert list(tmp_path.iterdir()) == []


def test_working_folder_is_gone_after_an_error(tmp_path):
    with pytest.raises(KeyError), working_folder(tmp_path, "disk-"):
        raise KeyError

    assert list(tmp_path.iterdir()) == []


def test_working_folder_of_a_living_owner_is_left_alone(tmp_path):
    with working_folder(tmp_path, "disk-") as mine, working_folder(tmp_path, "disk-"):
        assert mine.exists()


def test_working_folder_of_a_killed_process_is_gone_with_the_next(tmp_path):
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
        cwd=os.getcwd(),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as owner:
        left = owner.stdout.readline().strip()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    assert os.path.isdir(left)

    with working_folder(tmp_path, "disk-"):
        assert not os.path.exists(left)
