"""What the released classifier would make possible, where it is not: one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from sdflow.released import NEEDED
from tests.api.answers import refusal


@pytest.mark.parametrize("endpoint", ["/edit", "/paste", "/morph"])
def test_the_originals_mapping_needs_the_classifier(
    client: Client, token: str, endpoint: str
) -> None:
    given = {"token": token, "young": 0.2}
    assert refusal(client, endpoint, **given, mapping="original") == NEEDED
    assert "mapping 'other'. Choose one of: poles, original." in refusal(
        client, endpoint, **given, mapping="other"
    )


def test_a_photo_is_not_opened_in_vain(client: Client, jpeg: Path) -> None:
    given = {"photo": handle_file(jpeg), "young": 0.2, "mapping": "original"}
    assert refusal(client, "/edit_photo", **given) == NEEDED


def test_the_forty_attributes_need_it_too(client: Client, token: str) -> None:
    assert refusal(client, "/read_attributes", token=token, celeba=True) == NEEDED
    assert "Give true or false" in refusal(client, "/read_attributes", token=token, celeba=1)
