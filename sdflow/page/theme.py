"""The page's theme: petrol on warm grey, system fonts, contrast of at least 4.5 in both modes."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).with_name("style.css")
SCRIPT = Path(__file__).with_name("page.js")
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
MONOSPACED = ("ui-monospace", "SFMono-Regular", "Menlo", "monospace")
PETROL = gr.themes.Color(
    name="petrol",
    c50="#eff8f8",
    c100="#d8eeef",
    c200="#b2dde0",
    c300="#82c6cc",
    c400="#55adb6",
    c500="#2b8c97",
    c600="#1b6d78",
    c700="#185963",
    c800="#184851",
    c900="#173c44",
    c950="#0a262d",
)


def make_theme() -> gr.themes.Base:
    """The theme; it names system fonts only, so that nothing is fetched from another host."""
    theme = gr.themes.Base(
        primary_hue=PETROL,
        secondary_hue=PETROL,
        neutral_hue=gr.themes.colors.stone,
        font=FONTS,
        font_mono=MONOSPACED,
        radius_size=gr.themes.sizes.radius_md,
    )
    return theme.set(
        body_background_fill="#f6f5f3",
        body_background_fill_dark="#141312",
        body_text_color="#1f1d1a",
        body_text_color_dark="#f1efec",
        body_text_color_subdued="#5c5751",
        body_text_color_subdued_dark="#b3ada6",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1f1d1b",
        background_fill_secondary="#f1efec",
        background_fill_secondary_dark="#292624",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1f1d1b",
        block_border_color="#e2ded9",
        block_border_color_dark="#3a3633",
        block_label_text_color="#5c5751",
        block_label_text_color_dark="#b3ada6",
        block_title_text_color="#5c5751",
        block_title_text_color_dark="#f1efec",
        block_info_text_color="#5c5751",
        block_info_text_color_dark="#b3ada6",
        border_color_primary="#d6d1cb",
        border_color_primary_dark="#4a4541",
        input_background_fill="#ffffff",
        input_background_fill_dark="#292624",
        input_border_color="#8d867e",
        input_border_color_dark="#7d766f",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#08191d",
        button_secondary_background_fill="#e9e6e2",
        button_secondary_background_fill_hover="#dedad5",
        button_secondary_background_fill_dark="#35312e",
        button_secondary_background_fill_hover_dark="#433e3a",
        button_secondary_text_color="#1f1d1a",
        button_secondary_text_color_dark="#f1efec",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        color_accent="*primary_600",
        color_accent_soft="*primary_100",
        color_accent_soft_dark="*primary_900",
        loader_color="*primary_600",
        loader_color_dark="*primary_400",
        block_shadow="none",
        block_shadow_dark="none",
    )
