"""Lists and manifests that strangers write: what is none is refused as such, whatever it is."""

from collections.abc import Callable

import pytest

from imagebuilder.domain.digest import Digest
from imagebuilder.formats.oci import annotations_of, layers_of, referrers_of
from imagebuilder.formats.simplestreams import index_of, told_files, without_files

HEX = "a" * 64
_ITEM = '{"products": {"p": {"versions": {"v": {"items": {"i": %s}}}}}}'
_LAYER = '{"layers": [{"mediaType": "x", "digest": "sha256:' + HEX + '", %s}]}'


@pytest.mark.parametrize("read", [told_files, lambda text: without_files(text, {"x"})])
@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "[" * 100_000,
        '{"products": 5}',
        '{"products": {"p": {"versions": []}}}',
        _ITEM % '{"path": ["x"], "sha256": "%s"}' % HEX,
        _ITEM % '{"path": "x", "sha256": 5}',
        _ITEM % '{"path": "x", "sha256": "../../etc"}',
        _ITEM % "[]",
    ],
)
def test_products_that_are_none_are_refused(text: str, read: Callable[[bytes], object]) -> None:
    with pytest.raises(ValueError, match=r"is no|is not|invalid"):
        read(text.encode())


@pytest.mark.parametrize("text", ["[]", '{"format": "index:1.0", "index": []}', '{"index": {}}'])
def test_an_index_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|is not|invalid"):
        index_of(text.encode(), b"")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"layers": 5}',
        '{"layers": [5]}',
        _LAYER % '"size": 1e999',
        _LAYER % '"size": "many"',
        _LAYER % '"size": 1, "annotations": 5',
        _LAYER.replace(HEX, "../../etc/passwd") % '"size": 1',
    ],
)
def test_a_manifest_that_is_none_is_refused_and_says_nothing_of_itself(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|is not|invalid"):
        layers_of(text.encode())

    assert annotations_of(text.encode()) == {}


@pytest.mark.parametrize("text", ["[]", '{"manifests": 5}', '{"manifests": [{"digest": 5}]}'])
def test_a_list_of_referrers_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|is not|invalid"):
        referrers_of(text.encode())


def test_a_list_of_referrers_gives_their_digests() -> None:
    text = '{"manifests": [{"digest": "sha256:' + HEX + '"}]}'

    assert referrers_of(text.encode()) == {Digest(HEX)}
