import os
from pathlib import Path

from imagebuilder.adapters.local.at_hand import RawsAtHand
from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.domain.digest import Digest


def a_raw(path: Path, content: bytes = b"disk") -> tuple[Path, BlockMap]:
    path.write_bytes(content)
    return path, BlockMap.of(path)


def kept(
    tmp_path: Path, name: str = "web", content: bytes = b"disk"
) -> tuple[RawsAtHand, BlockMap]:
    at_hand = RawsAtHand(tmp_path / "store")
    raw, found = a_raw(tmp_path / "made.raw", content)
    with at_hand.claimed(name):
        at_hand.keep(name, raw, found)
    raw.unlink()
    return at_hand, found


def taken(
    at_hand: RawsAtHand, tmp_path: Path, digest: Digest, name: str = "web"
) -> BlockMap | None:
    with at_hand.claimed(name):
        return at_hand.take(name, digest, tmp_path / "taken.raw")


def test_take_of_what_was_kept_gives_its_bytes_and_its_map(tmp_path: Path) -> None:
    at_hand, found = kept(tmp_path)

    assert taken(at_hand, tmp_path, found.digest) == found
    assert (tmp_path / "taken.raw").read_bytes() == b"disk"


def test_take_for_the_second_time_gives_nothing(tmp_path: Path) -> None:
    at_hand, found = kept(tmp_path)
    taken(at_hand, tmp_path, found.digest)

    assert taken(at_hand, tmp_path, found.digest) is None


def test_take_of_another_disk_gives_nothing_and_leaves_it(tmp_path: Path) -> None:
    at_hand, found = kept(tmp_path)

    assert taken(at_hand, tmp_path, Digest.of_bytes(b"other")) is None
    assert taken(at_hand, tmp_path, found.digest) == found


def test_take_of_a_disk_that_someone_wrote_to_gives_nothing(tmp_path: Path) -> None:
    at_hand, found = kept(tmp_path)
    raw = tmp_path / "store/raws/web.raw"
    raw.write_bytes(b"DISK")
    os.utime(raw, ns=(1, 1))

    assert taken(at_hand, tmp_path, found.digest) is None


def test_take_with_a_damaged_record_gives_nothing(tmp_path: Path) -> None:
    at_hand, found = kept(tmp_path)
    (tmp_path / "store/raws/web.json").write_text('{"map": 3')

    assert taken(at_hand, tmp_path, found.digest) is None


def test_take_after_another_boot_gives_nothing(tmp_path: Path) -> None:
    at_hand, found = kept(tmp_path)
    record = tmp_path / "store/raws/web.json"
    text = record.read_text()
    start = text.index('["') + 2
    record.write_text(f"{text[:start]}another-boot{text[start + 12 :]}")

    assert taken(at_hand, tmp_path, found.digest) is None


def test_claim_of_a_name_that_is_claimed_is_refused_at_once(tmp_path: Path) -> None:
    one, other = RawsAtHand(tmp_path), RawsAtHand(tmp_path)

    with one.claimed("web") as first, other.claimed("web") as second, other.claimed("x") as third:
        assert (first, second, third) == (True, False, True)
    with other.claimed("web") as again:
        assert again


def test_keep_replaces_the_disk_of_the_name(tmp_path: Path) -> None:
    at_hand, before = kept(tmp_path)
    raw, found = a_raw(tmp_path / "new.raw", b"new")
    with at_hand.claimed("web"):
        at_hand.keep("web", raw, found)

    assert taken(at_hand, tmp_path, before.digest) is None
    assert taken(at_hand, tmp_path, found.digest) == found


def test_keep_of_a_name_with_slashes_stays_in_the_store(tmp_path: Path) -> None:
    at_hand, found = kept(tmp_path, name="../../a/b")

    assert taken(at_hand, tmp_path, found.digest, name="../../a/b") == found
    assert not (tmp_path / "a").exists()


def test_look_when_it_is_that_disk_then_it_stays_where_it_is(tmp_path: Path) -> None:
    at_hand, found = kept(tmp_path)

    with at_hand.claimed("web"):
        looked = at_hand.look("web", found.digest)
        other = at_hand.look("web", Digest.of_bytes(b"other"))

    assert looked is not None
    assert BlockMap.of(looked) == found
    assert other is None
    assert taken(at_hand, tmp_path, found.digest) == found
