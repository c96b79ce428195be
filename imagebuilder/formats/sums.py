"""SHA256SUMS: the digests of the files of a folder, as sha256sum and systemd read them.

Source: GNU coreutils, "md5sum invocation", the output for binary files.
"""

from collections.abc import Mapping

from imagebuilder.domain.digest import Digest


def sums_of(content: bytes) -> dict[str, Digest]:
    """Give what a file of sums says. Shape: file name -> digest.

    Raises: ValueError: a line is none of a sum.
    """
    sums = {}
    for number, line in enumerate(content.decode(errors="strict").splitlines(), start=1):
        digest, blank, name = line.partition(" ")
        if not blank or name[:1] not in {"*", " "}:
            raise ValueError(f"line {number} is no digest and name")
        sums[name[1:]] = Digest(digest)
    return sums


def sums_bytes(sums: Mapping[str, Digest]) -> bytes:
    """Give a file of sums, by name; empty when there are none."""
    return b"".join(f"{digest.hex} *{name}\n".encode() for name, digest in sorted(sums.items()))
