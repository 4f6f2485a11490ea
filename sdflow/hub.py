"""The Hub: fetches a file, looks up what is not pinned yet, and uploads a set of files."""

from __future__ import annotations

import errno
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sdflow.downloads import TRY_AGAIN, is_disk_full
from sdflow.manifest import Entry, HubCommit, WeightFile, WeightsError, hash_file

WAITS = (1, 4)  # seconds before another try
PLACE_IT = "put the file in the folder that SDFLOW_WEIGHTS_DIR names"
Result = TypeVar("Result")


def fetch(source: HubCommit, file: WeightFile) -> Path:
    """Download one file of a Hub repository into the Hub client's own cache; unchecked.

    Raises:
        WeightsError: no network, no such file for this user, or no room.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    name = file.member or file.name
    where = f"{name} of {source.repository} at {source.commit[:8]}"
    _quieten()
    with _speaking("fetch", where, file.size):
        # The download waits more than six minutes for a server that says nothing, this one.
        get_hf_file_metadata(
            hf_hub_url(source.repository, name, revision=source.commit), retry_on_errors=True
        )
        return _patiently(
            lambda: Path(hf_hub_download(source.repository, name, revision=source.commit))
        )


def pin(entry: Entry) -> Entry:
    """The entry with commit, sizes and sha256 as its Hub repository has them now.

    Raises:
        WeightsError: no network, no such files for this user, or it is not published.
    """
    if not isinstance(entry.source, HubCommit):
        raise WeightsError(
            f"The weights {entry.name!r} do not come from the Hub. Name others to pin."
        )
    if not entry.source.repository:
        raise WeightsError(
            f"The weights {entry.name!r} are not on the Hub: their authors share them by a link. "
            "Fetch them, run `python -m sdflow weights convert`, then `weights publish`, or name "
            "the folder of the converted files in SDFLOW_WEIGHTS_DIR."
        )
    commit, files = "main", []
    for file in entry.files:
        commit, found = look_up(entry.source.repository, file, commit)
        files.append(found)
    return replace(entry, source=replace(entry.source, commit=commit), files=tuple(files))


def look_up(repository: str, file: WeightFile, revision: str) -> tuple[str, WeightFile]:
    """The commit that a revision means, and the file's size and sha256 there.

    Raises:
        WeightsError: no network, or no such file for this user.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    name = file.member or file.name
    where = f"{name} of {repository}"
    _quieten()
    with _speaking("look up", where):
        url = hf_hub_url(repository, name, revision=revision)
        told = get_hf_file_metadata(url, retry_on_errors=True)
        if not told.commit_hash:
            raise WeightsError(
                f"What answers for {where} is no Hub. Correct HF_ENDPOINT, or check the proxy."
            )
        size, digest = told.size, told.etag or ""
        if not re.fullmatch("[0-9a-f]{64}", digest):  # git's own hash: a small file
            local = _patiently(
                lambda: Path(hf_hub_download(repository, name, revision=told.commit_hash))
            )
            size, digest = local.stat().st_size, hash_file(local)
    return told.commit_hash, replace(file, size=size, sha256=digest)


def upload(repository: str, files: Mapping[str, Path | bytes], private: bool) -> HubCommit:
    """Put files into a model repository in one commit, making the repository where there is none.

    Args:
        repository: "owner/name".
        files: name in the repository → a local file or its bytes.
        private: a repository that everybody can see is refused; without it, a private one that
            is there already stays private.

    Returns:
        The commit that has all of them, and whether the repository is private.

    Raises:
        WeightsError: no network, no right to write, or a public repository.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    additions = [
        CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
        for name, content in files.items()
    ]
    _quieten()
    with _speaking("upload to", repository):
        api.create_repo(repository, private=private, exist_ok=True)
        is_private = bool(api.repo_info(repository).private)
        if private and not is_private:
            raise WeightsError(
                f"Everybody can see {repository}. Name a private repository or a new one, or add "
                "--public if all of these files may be published."
            )
        message = f"SDFlow: {', '.join(files)}"
        commit = api.create_commit(repository, additions, commit_message=message).oid
    return HubCommit(repository, commit, is_private)


def _patiently(call: Callable[[], Result]) -> Result:
    """What a call returns, made again after failures that may pass."""
    for wait in WAITS:
        try:
            return call()
        except Exception as error:
            if not _may_pass(error):
                raise
            reason = _first_line(error)
            print(f"{reason}. Trying again in {wait} s.", file=sys.stderr, flush=True)
        time.sleep(wait)
    return call()


def _may_pass(error: Exception) -> bool:
    """Whether it is worth to ask again: not for what is refused, nor for a full disk.

    Nor after a timeout, which the client itself has waited for six times.
    """
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) or "Timeout" in type(error).__name__:
        return False
    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return not (isinstance(error, OSError) and error.errno) and not is_disk_full(str(error))


@contextmanager
def _speaking(doing: str, where: str, size: int = 0) -> Iterator[None]:
    """Turn what the client raises, errors of several HTTP libraries, into one sentence."""
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(_sentence(error, doing, where, size)) from error


def _sentence(error: Exception, doing: str, where: str, size: int) -> str:
    from huggingface_hub import constants, errors

    missing = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError)
    missing = (*missing, errors.EntryNotFoundError)
    is_local = isinstance(error, errors.LocalEntryNotFoundError)
    status = getattr(getattr(error, "response", None), "status_code", None)
    number = getattr(error, "errno", None)
    if is_disk_full(str(error)) or number in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full: {where} needs {size / 1e6:.1f} MB. Free some space, or "
            "set HF_HOME to a folder on a larger disk."
        )
    if constants.HF_HUB_OFFLINE:
        otherwise = "" if doing == "upload to" else f", or {PLACE_IT}"
        return f"Could not {doing} {where}: HF_HUB_OFFLINE is set. Unset it{otherwise}."
    if doing == "upload to" and (status in (401, 403) or isinstance(error, missing)):
        return (
            f"The Hub does not let this machine write to {where}. Run `hf auth login` with a "
            "token that may write, or name a repository of your own."
        )
    if not is_local and (status in (401, 403) or isinstance(error, missing)):
        return (
            f"The Hub shows this machine no {where}. If it is private run `hf auth login`, "
            f"otherwise {PLACE_IT}."
        )
    if number and not is_local:
        return (
            f"{where} cannot be stored in {constants.HF_HUB_CACHE} ({error.strerror}). Set "
            f"HF_HOME to a folder that can be written, or {PLACE_IT}."
        )
    advice = "Check the connection and try again." if doing == "upload to" else TRY_AGAIN
    return f"Could not {doing} {where} ({_first_line(error)}). {advice}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _quieten() -> None:
    """No progress bars where nobody sees them."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars

    if not sys.stderr.isatty() and not are_progress_bars_disabled():
        disable_progress_bars()
