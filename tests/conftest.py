"""Fetches all weights, the training's too, once, and then keeps every test off the network.

Two processes share the tests. Those of a folder with a server, and those of any other file, stay
together, so that what they share is made once.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from PIL import Image

    from sdflow.faces import Face
    from sdflow.pipeline import Editor

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if IS_WORKER:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch: each process has its own core
SERVING = ("tests/api/", "tests/browser/")


def pytest_sessionstart(session: pytest.Session) -> None:
    """All weights onto this machine, by the first of the processes."""
    if IS_WORKER or session.config.option.collectonly:
        return
    from sdflow import weights
    from sdflow.manifest import read_manifest

    for entry in read_manifest().values():
        for file in entry.files if entry.use != "full-size" else ():
            weights.path(entry.name, file.name)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist then reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says which tests stay together."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        folder = next((name for name in SERVING if file.startswith(name)), None)
        item.add_marker(pytest.mark.xdist_group(folder or file))


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is made once for a group would otherwise be made by both processes, in silence."""
    if IS_WORKER and session.config.getvalue("loadgroup"):
        apart = [item.nodeid for item in session.items if "@" not in item.nodeid]
        if apart:
            raise pytest.UsageError(f"pytest-xdist does not group {apart[0]} with this pytest.")


class NetworkUsed(RuntimeError):
    """A test tried to reach another machine."""


def is_here(host: object) -> bool:
    """Whether an address or name stands for this machine."""
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def only_here(call: Callable[..., Any], host: Callable[..., object]) -> Callable[..., Any]:
    """`call`, refusing hosts other than this machine."""

    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as open as what it wraps
        if not is_here(host(*args, **kwargs)):
            raise NetworkUsed(f"Tests run offline, but this one asked for {args!r}.")
        return call(*args, **kwargs)

    return guarded


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """No network but the loopback."""

    def peer(sock: socket.socket, address: Any, *rest: object) -> object:  # noqa: ANN401
        del rest
        return address[0] if sock.family in (socket.AF_INET, socket.AF_INET6) else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", only_here(socket.socket.connect, peer))
        patch.setattr(socket.socket, "connect_ex", only_here(socket.socket.connect_ex, peer))
        patch.setattr(
            socket, "getaddrinfo", only_here(socket.getaddrinfo, lambda host, *rest, **more: host)
        )
        patch.setenv("PIP_NO_INDEX", "1")  # programs that tests start
        patch.setenv("npm_config_offline", "true")
        yield


@pytest.fixture(scope="session")
def editor() -> Editor:
    """One editor with the real weights for all tests; nothing may change it."""
    from sdflow.pipeline import Editor

    return Editor()


@pytest.fixture(scope="session")
def photo(editor: Editor) -> Image.Image:
    """A photo of two generated faces, 1600 x 1200, the larger one on the left."""
    from sdflow.bench import draw_photo

    return draw_photo(editor)


@pytest.fixture(scope="session")
def opened(editor: Editor, photo: Image.Image) -> Face:
    """The larger face of the photo, opened by the encoder alone."""
    return editor.open(photo, steps=0)
