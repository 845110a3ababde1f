"""Downloading, against a web server on this machine's loopback."""

import gzip
import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from sparring.core import files
from sparring.core.errors import SparringError
from sparring.data import builtin, open_data
from sparring.data.builtin import FILES
from sparring.data.download import Remote, fetch

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Web(HTTPServer):
    """A server of ``files``. It can cut the connection after some bytes, and need not know ranges."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/good/set.gz": CONTENT, "/wrong/set.gz": b"x" * 500}
        self.cut_after: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        stop = start + self.server.cut_after.pop(0) if self.server.cut_after else len(data)
        self.wfile.write(data[start:stop])

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Web()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_fresh_download_is_checked_kept_and_told(web: Web, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    remote = Remote("set.gz", SHA256, (web.url("/good/set.gz"),))
    path = fetch(remote, tmp_path / "deep" / "cache", lambda *step: told.append(step))
    assert path.read_bytes() == CONTENT
    assert told[-1] == ("download set.gz", len(CONTENT), len(CONTENT))
    assert fetch(remote, path.parent) == path
    assert len(web.asked) == 1  # the second time it lay there
    assert not list(path.parent.glob("*.part"))


def test_a_cut_connection_is_taken_up_where_it_broke(web: Web, tmp_path: Path) -> None:
    web.cut_after = [300_000, 100_000]
    path = fetch(Remote("set.gz", SHA256, (web.url("/good/set.gz"),)), tmp_path)
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in web.asked] == [None, "bytes=300000-", "bytes=400000-"]


def test_a_part_of_an_earlier_run_is_taken_up(web: Web, tmp_path: Path) -> None:
    (tmp_path / "set.gz.part").write_bytes(CONTENT[:1000])
    assert fetch(Remote("set.gz", SHA256, (web.url("/good/set.gz"),)), tmp_path).read_bytes() == CONTENT
    assert web.asked == [("/good/set.gz", "bytes=1000-")]


def test_a_complete_part_needs_nothing_more(web: Web, tmp_path: Path) -> None:
    (tmp_path / "set.gz.part").write_bytes(CONTENT)
    assert fetch(Remote("set.gz", SHA256, (web.url("/good/set.gz"),)), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
def test_a_wrong_part_is_begun_anew(web: Web, tmp_path: Path, ranges: bool) -> None:
    web.ranges = ranges
    (tmp_path / "set.gz.part").write_bytes(b"?" * 1000)
    assert fetch(Remote("set.gz", SHA256, (web.url("/good/set.gz"),)), tmp_path).read_bytes() == CONTENT


def test_mirrors_are_tried_in_order(web: Web, tmp_path: Path) -> None:
    urls = (web.url("/none/set.gz"), web.url("/wrong/set.gz"), web.url("/good/set.gz"))
    assert fetch(Remote("set.gz", SHA256, urls), tmp_path).read_bytes() == CONTENT


def test_wrong_content_is_never_kept(web: Web, tmp_path: Path) -> None:
    with pytest.raises(SparringError, match="another SHA-256"):
        fetch(Remote("set.gz", SHA256, (web.url("/wrong/set.gz"),)), tmp_path)
    assert not (tmp_path / "set.gz").exists()
    assert not (tmp_path / "set.gz.part").exists()


def test_404_and_offline_say_what_to_do(web: Web, tmp_path: Path) -> None:
    with pytest.raises(SparringError, match="answered 404") as caught:
        fetch(Remote("set.gz", SHA256, (web.url("/none/set.gz"),)), tmp_path)
    assert f"put the file into {tmp_path} by hand" in str(caught.value)
    assert len(web.asked) == 1
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/set.gz"
    with pytest.raises(SparringError, match=r"cannot download set\.gz") as caught:
        fetch(Remote("set.gz", SHA256, (url,)), tmp_path)
    assert "refused" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_put_there_by_hand_are_checked(tmp_path: Path) -> None:
    remote = Remote("set.gz", SHA256, ("http://127.0.0.1:9/never-asked",))
    (tmp_path / "set.gz").write_bytes(CONTENT)
    assert fetch(remote, tmp_path).read_bytes() == CONTENT
    (tmp_path / "set.gz").write_bytes(CONTENT[:-1])
    with pytest.raises(SparringError, match="is not the file it should be"):
        fetch(remote, tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SparringError, match=r"cannot keep set\.gz"):
        fetch(Remote("set.gz", SHA256, ("http://127.0.0.1:9/",)), tmp_path / "file" / "cache")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path))
    assert files.cache_folder() == tmp_path
    monkeypatch.delenv("SPARRING_CACHE")
    assert files.cache_folder() == Path.home() / ".cache" / "sparring"


# ------------------------------------------------------------------ the sets known by name


def test_named_sets_name_whole_digests() -> None:
    assert sorted(FILES) == ["cifar10", "digits", "fashion-mnist", "mnist"]
    for remotes in FILES.values():
        for remote in remotes:
            assert len(bytes.fromhex(remote.sha256)) == 32
            assert len(remote.urls) >= 2
            assert all(url.endswith(f"/{remote.name}") for url in remote.urls)


def serve(web: Web, monkeypatch: pytest.MonkeyPatch, name: str, files: dict[str, bytes]) -> None:
    remotes = []
    for file, data in files.items():
        web.files[f"/{name}/{file}"] = data
        remotes.append(Remote(file, hashlib.sha256(data).hexdigest(), (web.url(f"/{name}/{file}"),)))
    monkeypatch.setitem(builtin.FILES, name, tuple(remotes))


@pytest.mark.parametrize(("name", "first"), [("mnist", "0"), ("fashion-mnist", "T-shirt/top")])
def test_idx_sets_by_name(web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, first: str) -> None:
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    images = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in pixels.shape) + pixels.tobytes()
    labels = b"\0\0\x08\x01" + (20).to_bytes(4, "big") + bytes(list(range(10)) * 2)
    serve(web, monkeypatch, name, {"i.gz": gzip.compress(images), "l.gz": gzip.compress(labels)})
    data = open_data(name)
    assert (data.name, data.spec.shape, len(data.spec.classes)) == (name, (1, 28, 28), 10)
    assert data.spec.classes[0] == first
    np.testing.assert_array_equal(data.get(range(20))[0][:, 0], pixels)
    assert (tmp_path / name / "i.gz").is_file()


def cifar(batches: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, data in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def test_cifar10_by_name(web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path))
    rows = np.random.default_rng(0).integers(0, 256, (20, 3073), dtype=np.uint8)
    rows[:, 0] = np.arange(20) % 10
    parts = {"data_batch_2.bin": rows[10:].tobytes(), "readme.html": b"x", "test_batch.bin": rows[:3].tobytes()}
    archive = cifar({**parts, "data_batch_1.bin": rows[:10].tobytes()})
    serve(web, monkeypatch, "cifar10", {"cifar-10-binary.tar.gz": archive})
    data = open_data("cifar10")
    assert data.spec.shape == (3, 32, 32)
    assert data.spec.classes[3] == "cat"
    np.testing.assert_array_equal(data.get(range(20))[0], rows[:, 1:].reshape(20, 3, 32, 32))
    by_path = open_data(str(tmp_path / "cifar10" / "cifar-10-binary.tar.gz"))
    assert by_path.fingerprint == data.fingerprint


def test_damaged_cifar10(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    for data, word in (
        (cifar({"data_batch_1.bin": b"x" * 100}), "whole number of records"),
        (cifar({"other.bin": b"x"}), "no data_batch_"),
        (cifar({"data_batch_1.bin": b"\xff" * 3073}), "label 255"),
        (b"no tar", "cannot read"),
    ):
        path.write_bytes(data)
        with pytest.raises(SparringError, match=word):
            open_data(str(path))
