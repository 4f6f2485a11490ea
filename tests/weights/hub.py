"""A model hub on this machine, for the real Hub client: files, uploads, and what goes wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.weights.house import COMMIT, CONTENT, House

TOKEN = "hf_of_someone"
OWNER = "someone"  # in whose name the token writes
TELL = """
import sys, time
time.sleep = lambda seconds: print("waited", seconds, file=sys.stderr)
from sdflow.weights import WeightsError
try:
    print(weights.path("hub").read_bytes()[:1].decode())
except WeightsError as error:
    print(error)
"""
MAIN = """
import sys, time
time.sleep = lambda seconds: None
from sdflow.__main__ import main
sys.exit(main({arguments!r}))
"""
API = re.compile("/api/(models|spaces)/")
LARGE = (".bin", ".pt", ".safetensors")  # kept as large files, whose tag is their sha256


@dataclass
class Repository:
    """A repository with all its commits, the newest last; a Space has an SDK."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    sdk: str | None = None

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return next(reversed(self.commits.items()), ("", {}))
        return (revision, self.commits[revision]) if revision in self.commits else None


class Hub:
    """What the hub holds; the files of `some/net` are there at the start.

    Attributes:
        troubles: method → what happens to its next requests, one after the other: "500", "hang",
            "cut" (half of the body), "stall" (half of it and then silence), "other" (another
            body of the same size), "" (none).
        asked: method and path of each request, in order.
    """

    def __init__(self, home: Path) -> None:
        self.repositories = {"some/net": Repository(commits={COMMIT: {"a.bin": CONTENT["a.bin"]}})}
        self.uploaded: dict[str, bytes] = {}  # sha256 → large file
        self.troubles: dict[str, Iterator[str]] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()
        handler = type("OfThisHub", (Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.home = home
        self.environment = {
            "HF_ENDPOINT": self.address,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "",
        }

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    """The requests that the client makes for a file, and for a commit."""

    hub: Hub

    def do_GET(self) -> None:
        if "/resolve/" not in self.path and not API.match(self.path):
            self.answer(404)  # what the client wants to know for itself
            return
        self.hub.asked.append(f"{self.command} {self.path}")
        trouble = next(self.hub.troubles.get(self.command, iter(())), "")
        if trouble == "hang":
            self.hub.closing.wait(60)
        elif trouble == "500":
            self.answer(503)
        elif API.match(self.path):
            name = API.sub("", self.path).split("/revision/")[0]
            if repository := self.shown(name):
                commit, _ = repository.at("main")
                self.answer(200, {"id": name, "sha": commit, "private": repository.private})
        else:
            self.resolve(trouble)

    do_HEAD = do_GET

    def resolve(self, trouble: str) -> None:
        name, _, rest = self.path[1:].partition("/resolve/")
        revision, _, file = rest.partition("/")
        repository = self.shown(name)
        if repository is None:
            return
        commit, files = repository.at(revision) or ("", {})
        if file not in files:
            code = "EntryNotFound" if commit else "RevisionNotFound"
            self.answer(404, headers={"X-Error-Code": code, "X-Repo-Commit": commit})
            return
        body = files[file]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{tag(file, body)}"'}
        if file.endswith(LARGE):
            headers["X-Linked-Size"] = str(len(body))
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        sent = None if trouble not in ("cut", "stall") else max(len(body) // 2 - start, 0)
        body = b"x" * len(body) if trouble == "other" else body[start:]
        self.answer(206 if start else 200, body, headers, sent)
        if trouble == "stall":
            self.hub.closing.wait(60)

    def do_POST(self) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/validate-yaml":
            is_right = re.match("---\n(\\w.*\n)*license: ", json.loads(body)["content"])
            self.answer(200 if is_right else 400, {"errors": [], "warnings": []})
        elif not self.may_write():
            self.answer(401)
        elif self.path == "/api/repos/create":
            self.create(json.loads(body))
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = [self.batch(each) for each in json.loads(body)["objects"]]
            self.answer(200, {"objects": objects})
        else:
            name, action, _ = API.sub("", self.path).rsplit("/", 2)
            getattr(self, action)(self.hub.repositories[name], name, body)

    def create(self, wanted: dict) -> None:
        if wanted["organization"] != OWNER:
            self.answer(403)
            return
        name = f"{wanted['organization']}/{wanted['name']}"
        is_new = name not in self.hub.repositories
        if is_new:
            private = wanted.get("visibility") == "private"
            self.hub.repositories[name] = Repository(private, sdk=wanted.get("sdk"))
        self.answer(200 if is_new else 409, {"url": f"{self.hub.address}/{name}"})

    def preupload(self, repository: Repository, name: str, body: bytes) -> None:
        del name
        _, present = repository.at("main")
        rows = []
        for file in json.loads(body)["files"]:
            path = file["path"]
            row = {"path": path, "shouldIgnore": False}
            row["uploadMode"] = "lfs" if path.endswith(LARGE) else "regular"
            rows.append({**row, "oid": tag(path, present[path]) if path in present else None})
        self.answer(200, {"files": rows})

    def batch(self, wanted: dict) -> dict:
        if wanted["oid"] in self.hub.uploaded:
            return wanted
        href = f"{self.hub.address}/upload/{wanted['oid']}"
        return {**wanted, "actions": {"upload": {"href": href}}}

    def do_PUT(self) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        digest = self.path.removeprefix("/upload/")
        if hashlib.sha256(body).hexdigest() != digest:
            self.answer(400)
            return
        self.hub.uploaded[digest] = body
        self.answer(200)

    def commit(self, repository: Repository, name: str, body: bytes) -> None:
        _, files = repository.at("main")
        files = dict(files)
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploaded[value["oid"]]
        oid = hashlib.sha1(body).hexdigest()
        repository.commits[oid] = files
        address = f"{self.hub.address}/{name}/commit/{oid}"
        self.answer(200, {"commitUrl": address, "commitOid": oid})

    def may_write(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def shown(self, name: str) -> Repository | None:
        """A repository that this client may see; else it gets the answer that there is none."""
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self.may_write()):
            self.answer(401, headers={"X-Error-Code": "RepoNotFound"})
            return None
        return repository

    def answer(
        self, status: int, body: bytes | dict = b"", headers: dict[str, str] | None = None,
        sent: int | None = None,
    ) -> None:  # fmt: skip
        """Answer, perhaps with a part of the body only."""
        body = json.dumps(body).encode() if isinstance(body, dict) else body
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])

    def log_message(self, *args: object) -> None:
        del args


def tag(file: str, body: bytes) -> str:
    """What the hub knows a file's content by: sha256 of a large one, git's hash of a small one."""
    if file.endswith(LARGE):
        return hashlib.sha256(body).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def told(house: House, hub: Hub, bound: bool = False, **environment: str) -> tuple[str, str]:
    """What a process that needs the Hub's file prints, and what it writes to stderr."""
    process = house.run(TELL, bound, **{**hub.environment, **environment})
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


def run(
    house: House, hub: Hub, *arguments: str, token: str = TOKEN, bound: bool = False
) -> subprocess.CompletedProcess[str]:
    """One verb below `weights`, by the real client."""
    code = MAIN.format(arguments=["weights", *arguments])
    process = house.run(code, bound, **{**hub.environment, "HF_TOKEN": token})
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)
