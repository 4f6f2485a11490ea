"""The endpoints as tools of MCP clients: gradio's server, and what it lacks for files and results.

Imported when the server starts; needs the `mcp` package, which `gradio[mcp]` brings.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import gradio.mcp
from anyio import get_cancelled_exc_class
from anyio.to_thread import run_sync
from gradio_client import handle_file
from gradio_client.utils import is_file_obj, traverse

from sdflow.page.guard import is_upload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gradio.blocks import BlockFunction
    from gradio_client.client import Job
    from mcp.types import ImageContent, TextContent
    from PIL import Image

LARGEST = 36_000_000  # bytes of a request: as data, a photo as large as one may upload
UPLOADED = "/gradio_api/file="  # what an upload's address goes on with
AS_FILE = "A data: URL, or the address of an upload to this server or of its result"
NOT_HERE = (
    "This file is neither a data: URL (data:image/jpeg;base64,...) nor the address of a file on"
    " this server. Send its data, or upload it to /gradio_api/upload first."
)


class Tools(gradio.mcp.GradioMCPServer):
    """Gradio's MCP server for a page, and beyond it:

    - parameters and results have the descriptions of the endpoints;
    - files are data or uploads to this server; no other address is fetched, and no object among
      the arguments makes the server read a file of its own;
    - each result is a content of its own, objects are JSON, pictures are their files' very bytes,
      with the mark of edited pictures;
    - a job whose client is gone is ended.
    """

    StreamableHTTPSessionManager = partial(
        gradio.mcp.GradioMCPServer.StreamableHTTPSessionManager, max_request_body_size=LARGEST
    )

    # ---- descriptions

    def get_tool_to_endpoint(self) -> dict[str, str]:
        """Name of a tool → its endpoint, which has the same name everywhere, on a Space too."""
        self.tool_prefix = ""
        return super().get_tool_to_endpoint()

    def get_input_schema(
        self, tool_name: str, parameters: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], list[list[str | int]]]:
        """The JSON schema of a tool's arguments, and which of them are files."""
        del parameters  # of the docstring; the components know more
        endpoint = self._endpoint(tool_name)
        described = {
            row["parameter_name"]: row["python_type"]["description"]
            for row in endpoint["parameters"]
        }
        schema, files = super().get_input_schema(tool_name, described)
        for row in schema["properties"].values():
            row.pop("additional_description", None)
        for position in files:
            row = schema["properties"][position[-1]]
            row.pop("required", None)  # of the object that a file is elsewhere
            row |= {"title": "File", "description": f"{row['description']}. {AS_FILE}"}
        return schema, files

    def get_fn_description(
        self, block_fn: BlockFunction, tool_name: str
    ) -> tuple[str, dict[str, str]]:
        """What a tool does and returns."""
        does, parameters = super().get_fn_description(block_fn, tool_name)
        rows = self._endpoint(tool_name)["returns"]
        returns = [f"{row['label']}: {row['python_type']['description']}" for row in rows]
        return f"{does} Returns {'; '.join(returns)}.", parameters

    _file_data_tool_description = ""  # it stands with each file

    def _endpoint(self, tool_name: str) -> dict[str, Any]:
        if tool_name not in self.tool_to_endpoint:
            raise ValueError(f"There is no tool {tool_name!r:.40}. Ask for the list of tools.")
        return self.api_info["named_endpoints"][self.tool_to_endpoint[tool_name]]

    # ---- arguments

    def convert_strings_to_filedata(
        self, value: Mapping[str, Any], filedata_positions: list[list[str | int]]
    ) -> dict[str, Any]:
        """A tool's arguments with its files as gradio sends them.

        Raises:
            ValueError: a file that is not here, or an object where none belongs.
        """
        files = {position[-1] for position in filedata_positions}
        arguments = {}
        for name, argument in value.items():
            if name not in files:
                arguments[name] = traverse(argument, refuse, is_file_obj)
            elif argument in (None, ""):
                arguments[name] = None
            elif isinstance(argument, str) and argument.startswith("data:"):
                arguments[name] = self._saved(argument)
            else:
                arguments[name] = handle_file(self._uploaded(argument))
        return arguments

    def _saved(self, url: str) -> dict[str, Any]:
        """The file of a data: URL, which goes when uploads do."""
        try:
            file = super().convert_strings_to_filedata({"file": url}, [["file"]])["file"]
        except (ValueError, OSError) as error:  # it is cut off, or no base64
            raise ValueError(NOT_HERE) from error
        self.blocks.upload_file_set.add(file["path"])
        return file

    def _uploaded(self, address: object) -> str:
        """The path of an upload, given its address."""
        _, found, path = unquote(urlsplit(str(address)).path).partition(UPLOADED)
        if not found or not is_upload(path) or not Path(path).is_file():
            raise ValueError(NOT_HERE)
        return path

    # ---- jobs

    async def _execute_tool_without_progress(self, job: Job) -> list[Any]:
        with ended_if_cancelled(job):
            result = await run_sync(job.result, abandon_on_cancel=True)
        return list(result) if isinstance(result, tuple) else [result]

    async def _execute_tool_with_progress(self, job: Job, progress_token: str | int) -> list[Any]:
        with ended_if_cancelled(job):
            return await super()._execute_tool_with_progress(job, progress_token)

    # ---- results

    def postprocess_output_data(
        self, data: list[Any], root_url: str
    ) -> list[TextContent | ImageContent]:
        """The contents of an answer: one for each result, two for a picture."""
        return super().postprocess_output_data([as_text(output) for output in data], root_url)

    @staticmethod
    def get_base64_data(image: Image.Image, format: str) -> str:
        """A picture's file; encoded anew, it would lose its mark, time and quality."""
        del format
        return gradio.mcp.base64.b64encode(Path(image.filename).read_bytes()).decode()


@contextmanager
def ended_if_cancelled(job: Job) -> Iterator[None]:
    """Ends a job that nobody waits for any more."""
    try:
        yield
    except get_cancelled_exc_class():
        threading.Thread(target=job.cancel, daemon=True).start()  # it asks this very server
        raise


def refuse(file: object) -> None:
    """A file where none belongs: the server would send itself the file of its own of that name."""
    raise ValueError(NOT_HERE)


def as_text(output: object) -> object:
    """JSON of an object or a list; files and texts as they are."""
    if hasattr(output, "model_dump"):
        output = output.model_dump()
    if isinstance(output, str) or (isinstance(output, dict) and is_file_obj(output)):
        return output
    return json.dumps(output, ensure_ascii=False)
