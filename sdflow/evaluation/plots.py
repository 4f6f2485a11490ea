"""The report as pictures: methods compared, what changes what, curves, contact sheets."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from sdflow.attributes import ATTRIBUTES
from sdflow.evaluation.figures import ACCURACY, KEPT
from sdflow.evaluation.methods import OURS, Method
from sdflow.evaluation.metrics import LEVEL
from sdflow.evaluation.populations import Face, render
from sdflow.evaluation.protocol import IDENTITY
from sdflow.images import to_image
from sdflow.media import contact_sheet
from sdflow.models import ModelSet

COLOURS = {"ours": "#0b6e99", "no_mi": "#d9822b", "styleflow": "#8250c4", "linear": "#3f8f4f",
           "projected": "#9aa61f", "published": "#c0392b", "ungated": "#c06c9b"}  # fmt: skip
OTHER = "#6b7280"  # a method without a colour of its own
LABELS = {
    "no_mi": "without mi", "ungated": "gates open", "styleflow": "StyleFlow-style",
    "projected": "linear, projected",
}  # fmt: skip
GRID, INK = "#e5e7eb", "#374151"
SHEET_STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
CELL = 128  # pixels of a contact sheet's pictures
DPI, SHADES = 110, 96  # of a plot; few colours make a small file


def plot_methods(methods: Mapping[str, Mapping], path: Path) -> None:
    """Preservation and identity over editing accuracy, a line a method (the paper's figure 4).

    Args:
        methods: the report's ``methods`` of one population; those without means are left out.
        path: PNG file.
    """
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6))
    panels = ((KEPT, "other attributes kept"),
              (IDENTITY, "distance to the unedited face (faceres)"))  # fmt: skip
    for ax, (key, name) in zip(axes, panels, strict=True):
        ends = []
        for method, one in methods.items():
            mean = one["means"]["four"]
            if mean and key in mean["curves"]:
                x, y = mean["curves"][ACCURACY], mean["curves"][key]
                colour = COLOURS.get(method, OTHER)
                ax.plot(x, y, "o-", color=colour, lw=2.2 if method == OURS else 1.6, ms=3.5)
                few = len(mean["attributes"])
                ends.append((x[-1], y[-1], _label(method) + (f" ({few} of 4)" if few < 4 else ""),
                             colour))  # fmt: skip
        _label_ends(ax, ends)
        ax.axvline(LEVEL, color=GRID, lw=1.2, ls="--", zorder=0)
        _style(ax, "editing accuracy", name, right=1.34)
        if key == IDENTITY:
            ax.invert_yaxis()  # up is better, as on the left
    figure.suptitle("Eyeglasses, gender, age, smile: mean over growing strengths", color=INK)
    _save(figure, path)


def plot_each(methods: Mapping[str, Mapping], names: Sequence[str], path: Path) -> None:
    """As `plot_methods`, a column an attribute.

    Args:
        methods: the report's ``methods`` of one population.
        names: of the attributes.
        path: PNG file.
    """
    keys = ((KEPT, "others kept"), (IDENTITY, "distance (faceres)"))
    figure, axes = plt.subplots(
        2, len(names), figsize=(2.9 * len(names) + 0.6, 5.4), sharey="row", squeeze=False
    )
    lines = {}
    for (i, (key, label)), (j, name) in product(enumerate(keys), enumerate(names)):
        ax = axes[i, j]
        for method, one in methods.items():
            curves = one["attributes"].get(name, {}).get("curves", {})
            if key in curves:
                (line,) = ax.plot(
                    curves[ACCURACY], curves[key], "o-", color=COLOURS.get(method, OTHER),
                    lw=2.2 if method == OURS else 1.4, ms=3, zorder=3 if method == OURS else 2,
                )  # fmt: skip
                lines[method] = line
        ax.axvline(LEVEL, color=GRID, lw=1.2, ls="--", zorder=0)
        _style(ax, "editing accuracy" if i else "", label if j == 0 else "")
        ax.set_xlim(-0.03, 1.03)
        if i == 0:
            ax.set_title(_title(name), fontsize=10, color=INK)
    axes[1, 0].invert_yaxis()  # up is better, as above; the row shares the axis
    figure.legend(
        lines.values(), [_label(method) for method in lines], loc="upper center",
        ncols=len(lines), frameon=False, labelcolor=INK,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 0.94))
    _save(figure, path, tight=False)


def plot_matrix(attributes: Mapping[str, Mapping], path: Path) -> None:
    """Heat map: share of faces on which editing a row's attribute changed a column's.

    Args:
        attributes: the report's ``attributes`` of one method.
        path: PNG file.
    """
    rows = list(attributes)
    others = {other for one in attributes.values() for other in one["changed"]}
    columns = rows + sorted(others - set(rows))
    shares = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if row == column:
                shares[i, j] = attributes[row]["accuracy"]["value"]
            elif column in attributes[row]["changed"]:
                shares[i, j] = attributes[row]["changed"][column]
    size = (2.6 + 0.5 * len(columns), 2.0 + 0.42 * len(rows))
    figure, ax = plt.subplots(figsize=size)
    own = np.array([[row == column for column in columns] for row in rows])
    colours = matplotlib.colormaps["OrRd"].with_extremes(bad="#dbeafe")
    ax.imshow(np.ma.masked_where(own | np.isnan(shares), shares), cmap=colours, vmin=0, vmax=0.5,
              aspect="auto")  # fmt: skip
    for (i, j), share in np.ndenumerate(shares):
        if not np.isnan(share):
            colour = "white" if share > 0.32 and not own[i, j] else INK
            weight = "bold" if own[i, j] else "normal"
            ax.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=8,
                    color=colour, weight=weight)  # fmt: skip
    ax.set_xticks(range(len(columns)), [_title(n) for n in columns], rotation=45, ha="right")
    ax.set_yticks(range(len(rows)), [_title(n) for n in rows])
    ax.set_xlabel("judged attribute", color=INK)
    ax.set_ylabel("edited attribute", color=INK)
    ax.set_title("Faces changed at full strength, % (blue: the edit itself)", color=INK)
    ax.tick_params(colors=INK, length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    _save(figure, path)


def plot_strengths(attributes: Mapping[str, Mapping], path: Path) -> None:
    """Accuracy, preservation and the judge's measure over the strength, a panel an attribute.

    Args:
        attributes: the report's ``attributes`` of one method.
        path: PNG file.
    """
    across = min(4, len(attributes))
    down = -(-len(attributes) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(2.9 * across, 2.3 * down + 0.5), squeeze=False, sharey=True
    )
    for ax, (name, one) in zip(axes.flat, attributes.items(), strict=False):
        strengths = np.linspace(0, 1, len(one["curves"][ACCURACY]))
        ax.plot(strengths, one["curves"][ACCURACY], color=COLOURS[OURS], lw=2, label="flipped")
        if KEPT in one["curves"]:
            ax.plot(strengths, one["curves"][KEPT], color=COLOURS["no_mi"], lw=2,
                    label="others kept")  # fmt: skip
        ax.set_ylim(-0.03, 1.03)
        _style(ax, "", "")
        ax.set_title(f"{_title(name)}, ρ {one['spearman']:.2f}", fontsize=10, color=INK)
    for ax in list(axes.flat)[len(attributes) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("strength", color=INK)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=2, frameon=False, labelcolor=INK)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / (2.3 * down + 0.5)))
    _save(figure, path, tight=False)


def draw_sheet(models: ModelSet, method: Method, face: Face, names: Sequence[str]) -> Image.Image:
    """Contact sheet of one face: a row an attribute, a column a strength."""
    rows = []
    for name in names:
        images = render(models, method.edit(face, [{name: s} for s in SHEET_STRENGTHS]))
        rows.append([to_image(image[None]) for image in images])
    labels = [f"{_title(name)}\n-1 {ATTRIBUTES[name].negative}\n+1 {ATTRIBUTES[name].positive}"
              for name in names]  # fmt: skip
    return contact_sheet(rows, labels, [f"{s:+g}" if s else "0" for s in SHEET_STRENGTHS], CELL)


def draw_pairs(models: ModelSet, method: Method, face: Face, names: Sequence[str]) -> Image.Image:
    """Contact sheet of one face: a row a pair of attributes, both moved whole in a column."""
    ends = ((-1.0, -1.0), (-1.0, 1.0), (0.0, 0.0), (1.0, -1.0), (1.0, 1.0))
    rows, labels = [], []
    for first, second in combinations(names, 2):
        moved = [{first: a, second: b} for a, b in ends]
        images = render(models, method.edit(face, moved))
        rows.append([to_image(image[None]) for image in images])
        labels.append(f"{_title(first)},\n{_title(second)}")
    return contact_sheet(rows, labels, [f"{a:+g}, {b:+g}" if a else "0" for a, b in ends], CELL)


def _label_ends(ax: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Writes each line's name beside its end, moved apart where two would touch."""
    if not ends:
        return
    low, high = ax.get_ylim()
    apart = 0.055 * (high - low)
    ends = sorted(ends, key=lambda end: end[1])
    places = [y for _, y, _, _ in ends]
    for i in range(1, len(ends)):
        places[i] = max(places[i], places[i - 1] + apart)
    places[-1] = min(places[-1], high)
    for i in reversed(range(len(ends) - 1)):
        places[i] = min(places[i], places[i + 1] - apart)
    for (x, y, label, colour), place in zip(ends, places, strict=True):
        line = {"arrowstyle": "-", "color": colour, "lw": 0.6, "alpha": 0.5}
        ax.annotate(label, (x, y), (1.03, place), color=colour, fontsize=9, va="center",
                    arrowprops=line)  # fmt: skip


def _style(ax: Axes, x: str, y: str, right: float | None = None) -> None:
    ax.set_xlabel(x, color=INK)
    ax.set_ylabel(y, color=INK)
    ax.grid(color=GRID, lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK, labelsize=8, length=0)
    if right:
        ax.set_xlim(-0.02, right)
        ax.set_xticks(np.linspace(0, 1, 6))
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(GRID)


def _label(method: str) -> str:
    return LABELS.get(method, method.replace("_", " "))


def _title(attribute: str) -> str:
    return ATTRIBUTES[attribute].label if attribute in ATTRIBUTES else attribute


def _save(figure: Figure, path: Path, tight: bool = True) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, bbox_inches="tight" if tight else None)
    plt.close(figure)
    picture = Image.open(buffer).convert("RGB")
    picture.quantize(SHADES, dither=Image.Dither.NONE).save(path, optimize=True)
