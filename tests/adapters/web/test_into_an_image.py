"""A file of the web, fetched by this machine and written by the image's own programs."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imagebuilder.adapters.aws.objects import S3Objects
from imagebuilder.adapters.local.workplace import transfer_folder
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.web.downloads import DownloadLimits, UrllibFetcher
from imagebuilder.domain.component import ActionName, Network, PhaseName
from imagebuilder.ports.actions import ActionCall
from imagebuilder.services.provisioning.transferring import Transferring, transfer_actions
from tests.workshops import shop

pytestmark = pytest.mark.root

CONTENT = bytes(range(256)) * 8192


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served/file").write_bytes(CONTENT)
    answers = partial(_Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/file"
        server.shutdown()
        thread.join()


def test_web_download_when_a_link_of_the_image_leads_outside_then_the_file_stays_inside(
    tmp_path: Path, url: str
) -> None:
    outside, work = tmp_path / "outside", tmp_path / "transfers"
    outside.mkdir()
    means = Transferring(
        web=UrllibFetcher(SystemClock(), DownloadLimits(hosts=frozenset({"127.0.0.1"}))),
        objects=S3Objects(),
        scratch=partial(transfer_folder, work),
        clock=SystemClock(),
        largest_bytes=1 << 20,
    )
    (tmp_path / "shop").mkdir()
    with shop(tmp_path / "shop") as place, place.roots.scratch([place.base()]) as root:
        (Path(root.path) / "out").symlink_to("/srv/real")
        (Path(root.path) / "away").symlink_to(outside)
        call = ActionCall(
            action=ActionName.WEB_DOWNLOAD,
            phase=PhaseName.BUILD,
            inputs=[
                {"source": url, "destination": "/srv/real/"},
                {"source": url, "destination": "/out/again"},
                {"source": url, "destination": "/away/file"},
            ],
            machine=root.machine(Network.NONE),
            timeout_seconds=60,
            network=Network.FULL,
        )
        outcome = transfer_actions(means)[ActionName.WEB_DOWNLOAD].run(call)
        for path in ("srv/real/file", "srv/real/again"):
            assert (Path(root.path) / path).read_bytes() == CONTENT
    assert outcome.result.exit_status != 0  # a link to what is not there is no folder
    assert list(outside.iterdir()) == []
    assert list(work.glob("transfer-*")) == []
