"""Messages over the wall: a length, then that many bytes of JSON.

Both sides use it, so it imports nothing of this package.
"""

import json
import socket
import struct
from collections.abc import Mapping

LENGTH = struct.Struct(">I")
_CHUNK_BYTES = 1 << 20


def framed(message: Mapping[str, object]) -> bytes:
    """Give a message as it goes over the wire."""
    content = json.dumps(message).encode()
    return LENGTH.pack(len(content)) + content


def frame_from(channel: socket.socket) -> bytes:
    """Give the next message as it came. Raises: EOFError: there is nobody to send one."""
    length = _exactly(channel, LENGTH.size)
    return length + _exactly(channel, LENGTH.unpack(length)[0])


def message_in(frame: bytes) -> dict[str, object]:
    """Give the message of a frame that somebody trustworthy sent."""
    message = json.loads(frame[LENGTH.size :])
    return message if isinstance(message, dict) else {}


def _exactly(channel: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        chunk = channel.recv(min(size - len(content), _CHUNK_BYTES))
        if not chunk:
            raise EOFError("the other side is no longer there")
        content += chunk
    return bytes(content)
