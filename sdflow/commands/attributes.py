"""The verb that lists what can be edited."""

from __future__ import annotations

from sdflow.commands import Report, Verb
from sdflow.selection import shipped_attributes


def list_attributes() -> Report:
    """The attributes of the shipped models, in the order of the page.

    Raises:
        WeightsError: the flow's file is missing or damaged.
    """
    return {"attributes": [row.about() for row in shipped_attributes()]}


def _show(report: Report) -> str:
    rows = report["attributes"]
    width = max(len(row["name"]) for row in rows)
    return "\n".join(
        f"{row['name']:{width}}  -1 {row['negative']}, +1 {row['positive']}" for row in rows
    )


VERBS = (
    Verb(
        "attributes",
        "list the attributes and what their ends mean",
        lambda parser: None,
        lambda args: list_attributes(),
        _show,
        ("attributes", "attributes --json"),
    ),
)
