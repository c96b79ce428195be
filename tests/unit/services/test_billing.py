"""Bills are made of what a root held, of signed lists, and of a version's record."""

from pathlib import PurePath

import pytest

from imagebuilder.domain.bill import BillMissing, BillUnreadable, PartKind, RecordedBill, Software
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.recipe import Repository
from imagebuilder.ports.building import MirrorUnreachable
from imagebuilder.ports.inspection import SoftwareUnread
from imagebuilder.services.billing import Billing
from imagebuilder.services.building.stocktaking import Stock, Stocktaking
from tests.build import a_digest, a_package, a_parent, a_version
from tests.fakes.archives import FakePackageArchives
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock
from tests.fakes.inspection import FakeContentsReader, FakeSoftwareReader

BASH, NGINX = a_package("bash", "5.2-1"), a_package("nginx", "1.22-1")
LEFT_PAD = Software(
    name="left-pad", version="1.3.0", url="pkg:npm/left-pad@1.3.0", path="/app/package-lock.json"
)
ARCHIVES = (Repository(url="http://deb.example.org/debian", suites=("bookworm",)),)


class Bench:
    """A place to take stock and to tell of it."""

    def __init__(self) -> None:
        self.blobs = FakeBlobStore()
        self.archives = FakePackageArchives(digests={BASH.key: a_digest("bash.deb")})
        self.reader = FakeContentsReader(lambda: (BASH, NGINX))
        self.software: FakeSoftwareReader | None = None
        self.versions = FakeVersionStore()

    def stock(self, *known: RecordedBill) -> Stock:
        taking = Stocktaking(self.reader, self.archives, self.blobs, self.software)
        return taking.take(PurePath("/root"), ARCHIVES, known)

    def billing(self, version: ImageVersion) -> Billing:
        self.versions.add(version)
        return Billing(self.versions, self.blobs, FakeClock())


def test_take_when_an_archive_tells_a_digest_then_it_is_kept_and_others_are_not_known() -> None:
    stock = Bench().stock()

    archives = {p.package.name: p.archive for p in stock.contents.packages}
    assert archives == {"bash": a_digest("bash.deb"), "nginx": None}
    assert stock.bill.release == "debian:bookworm"


def test_take_when_an_earlier_bill_tells_then_archives_are_asked_for_the_rest_alone() -> None:
    bench = Bench()
    before = bench.stock()
    bench.archives.digests = {NGINX.key: a_digest("nginx.deb")}

    stock = bench.stock(before.bill)

    assert bench.archives.asked_for[-1] == {NGINX.key}
    assert {p.archive for p in stock.contents.packages} == {
        a_digest("bash.deb"),
        a_digest("nginx.deb"),
    }


def test_take_when_no_archive_answers_then_the_bill_is_made_and_says_so() -> None:
    bench = Bench()
    bench.archives.fails = MirrorUnreachable("http://deb.example.org", "no route")

    stock = bench.stock()

    assert stock.contents.installed == (BASH, NGINX)
    assert "Digests of 2 packages are not known" in stock.complaint


def test_take_when_software_is_asked_for_then_the_bill_has_it() -> None:
    bench = Bench()
    bench.software = FakeSoftwareReader(software=(LEFT_PAD,))

    bill = bench.billing(a_version(bill=bench.stock().bill)).show("debian-web")

    assert bill.contents.software == (LEFT_PAD,)
    assert bill.contents.gaps == ()


def test_take_when_nobody_can_tell_the_software_then_it_is_a_gap_and_said() -> None:
    bench = Bench()
    bench.software = FakeSoftwareReader(fails=SoftwareUnread("syft", "it ended with 1", "no"))

    stock = bench.stock()

    assert stock.contents.gaps == ("what is installed besides packages",)
    assert stock.complaint.startswith("syft did not tell what is installed besides packages")


def test_take_when_an_earlier_bill_is_gone_then_archives_are_asked() -> None:
    gone = RecordedBill(release="debian:bookworm", document=a_digest("gone"))

    assert Bench().stock(gone).contents.packages[0].archive == a_digest("bash.deb")


def test_show_then_tells_packages_recipe_components_and_the_parent_version() -> None:
    bench = Bench()
    base = a_version("debian-base@1.0.0/1")
    bench.versions.add(base)
    version = a_version(parent=a_parent(base.id), bill=bench.stock().bill)

    bill = bench.billing(version).show("debian-web")

    kinds = [(part.kind, part.name) for part in bill.parts]
    assert (PartKind.PARENT, "debian-base") in kinds
    assert (PartKind.RECIPE, "debian-web") in kinds
    assert (PartKind.COMPONENT, "nginx") in kinds
    assert bill.parts[0].digest == base.disk_digest
    assert bill.contents.installed == (BASH, NGINX)
    assert bill.reference == version.reference


def test_show_when_no_bill_was_made_then_says_what_to_do() -> None:
    with pytest.raises(BillMissing, match="has no bill of materials"):
        Bench().billing(a_version()).show("debian-web")


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b'{"form": 9}', b'{"form": 1, "release": "x"}', b"\xff"]
)
def test_show_when_the_document_is_another_then_is_refused(content: bytes) -> None:
    bench = Bench()
    bill = RecordedBill(release="x", document=bench.blobs.put(content))

    with pytest.raises(BillUnreadable):
        bench.billing(a_version(bill=bill)).show("debian-web")


def test_archives_then_are_those_that_are_known_and_none_without_a_bill() -> None:
    bench = Bench()
    billed = a_version("billed@1.0.0/1", bill=bench.stock().bill)
    billing = bench.billing(billed)

    assert billing.archives(billed) == {BASH.key: a_digest("bash.deb")}
    assert billing.archives(a_version()) == {}
