"""Work in the background, in its order."""

import threading

import pytest

from imagebuilder.adapters.local.beside import Beside


def test_then_when_pieces_come_then_they_are_done_in_their_order() -> None:
    beside, done = Beside("test"), list[int]()
    for number in range(20):
        beside.then(lambda number=number: done.append(number))  # type: ignore[misc]
    beside.wait()
    assert done == list(range(20))


def test_wait_when_a_piece_failed_then_raises_it_once() -> None:
    beside = Beside("test")

    def fails() -> None:
        raise OSError("full")

    beside.then(fails)
    with pytest.raises(OSError, match="full"):
        beside.wait()
    beside.wait()


def test_then_when_all_was_waited_for_then_a_new_thread_does_it() -> None:
    beside, threads = Beside("test"), list[threading.Thread]()
    for _ in range(2):
        beside.then(lambda: threads.append(threading.current_thread()))
        beside.wait()
    first, second = threads
    assert first is not second
    assert not first.is_alive()
