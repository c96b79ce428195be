"""Workers: many threads that do one thing after the other until none is left."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event, Lock
from typing import TypeVar

_Item = TypeVar("_Item")


def each(items: Iterator[_Item], work: Callable[[_Item], None], workers: int) -> None:
    """Have all items worked on, so many at a time; the first that fails ends all, and is raised.

    Items are taken when there is a hand free, so that few are held at a time.
    """
    taking, is_over = Lock(), Event()

    def hand() -> None:
        while not is_over.is_set():
            with taking:
                item = next(items, None)
            if item is None:
                return
            work(item)

    with ThreadPoolExecutor(workers, thread_name_prefix="blocks") as pool:
        try:
            for done in as_completed([pool.submit(hand) for _ in range(workers)]):
                done.result()
        finally:
            is_over.set()
