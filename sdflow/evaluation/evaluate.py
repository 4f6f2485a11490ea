"""The whole evaluation: settings in, a folder with report, scores, plots and sheets out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sdflow.evaluation import plots
from sdflow.evaluation.methods import OURS
from sdflow.evaluation.populations import GENERATED, PEOPLE
from sdflow.evaluation.protocol import TARGETS
from sdflow.evaluation.report import build_report, build_scores, gather
from sdflow.evaluation.stages import SECONDS, count_edits, run_stages
from sdflow.evaluation.tables import markdown
from sdflow.evaluation.workbench import Settings, Workbench

SHEETS = 3  # faces of each population


def evaluate(settings: Settings, output: Path | None, command: str) -> dict[str, object]:
    """Runs what is missing, then writes the report.

    Args:
        settings: what to evaluate.
        output: folder for ``report.json``, ``report.md``, ``scores.json``, ``*.png``, sheets.
        command: how it was called, for the report.

    Returns:
        The report.

    Raises:
        ValueError: see `Workbench` and the stages.
    """
    bench = Workbench(settings)
    edits = bench.expected_edits()
    minutes = edits * SECONDS["sweep"] / 60
    print(f"run folder: {bench.folder}", file=sys.stderr)
    print(f"{edits} edits, {minutes:.0f} core minutes, less what is stored", file=sys.stderr)
    run_stages(bench)
    print(f"edits judged: {count_edits(bench)}", file=sys.stderr)
    found = gather(bench)
    report = build_report(bench, found)
    if output:
        scores = build_scores(report, command)
        output.mkdir(parents=True, exist_ok=True)
        _write_json(output / "report.json", report)
        _write_json(output / "scores.json", scores)
        (output / "report.md").write_text(markdown(report, scores, command), encoding="utf-8")
        _draw(bench, report, output)
    return report


def _draw(bench: Workbench, report: dict[str, object], output: Path) -> None:
    for name in (GENERATED, PEOPLE):
        if name not in report:
            continue
        methods = report[name]["methods"]
        ours = methods[OURS]["attributes"]
        if len(methods) > 1:
            plots.plot_methods(methods, output / f"{name}-methods.png")
            shared = [a for a in TARGETS if a in ours]
            if shared:
                plots.plot_each(methods, shared, output / f"{name}-methods-each.png")
        plots.plot_matrix(ours, output / f"{name}-matrix.png")
        plots.plot_strengths(ours, output / f"{name}-strengths.png")
        population = bench.population(name)
        for row in range(min(SHEETS, len(population.w))):
            face = population.face(row)
            sheet = plots.draw_sheet(bench.models, bench.method(OURS), face, bench.attributes)
            sheet.save(output / f"{name}-sheet-{row}.jpg", quality=85)
            pairs = [a for a in TARGETS if a in bench.attributes]
            if len(pairs) > 1:
                sheet = plots.draw_pairs(bench.models, bench.method(OURS), face, pairs)
                sheet.save(output / f"{name}-pairs-{row}.jpg", quality=85)


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
