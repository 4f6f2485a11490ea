"""The finished run folder in, one report out, and `scores.json` out of the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from sdflow.evaluation import figures, likeness, metrics
from sdflow.evaluation.directions import PUBLISHED
from sdflow.evaluation.figures import KEPT, Flips
from sdflow.evaluation.judges import JUDGED, positive
from sdflow.evaluation.methods import OURS
from sdflow.evaluation.populations import GENERATED, PEOPLE, SEED
from sdflow.evaluation.protocol import (
    IDENTITY,
    STRENGTHS,
    TARGETS,
    read_faces,
    read_sweep,
)
from sdflow.evaluation.stages import count_edits, trials_of
from sdflow.evaluation.trials import AGE, FIVE, FIVE_AT_ONCE, FIVE_STRENGTH, FLOOR, YEARS
from sdflow.evaluation.workbench import Workbench

AGED = 50  # fewer aged faces show nothing of a share of .01


def gather(bench: Workbench) -> dict[str, dict[str, dict[str, Flips]]]:
    """All sweeps: population → method → attribute → flips."""
    found: dict[str, dict[str, dict[str, Flips]]] = {}
    weights: dict[str, np.ndarray] = {}
    for task in bench.tasks():
        population = bench.population(task.population)
        if task.population not in weights:
            weights[task.population] = metrics.resample(len(population.w))
        path = task.path(bench.folder_of(task.population), bench.method(task.method).key)
        sweep = read_sweep(bench.models, population, path)
        flips = figures.measure_flips(
            sweep, task.attribute, bench.models.attributes, weights[task.population]
        )
        found.setdefault(task.population, {}).setdefault(task.method, {})[task.attribute] = flips
    return found


def build_report(
    bench: Workbench, found: Mapping[str, Mapping[str, Mapping[str, Flips]]]
) -> dict[str, object]:
    """Every figure, ready for JSON."""
    report: dict[str, object] = {"settings": _settings(bench)}
    for name, methods in found.items():
        population = bench.population(name)
        judged = [a for a in bench.models.attributes if a in JUDGED]
        sides = {a: positive(population.verdicts, a) for a in judged}
        entry: dict[str, object] = {"methods": {}, "comparisons": {}}
        for method, flips in methods.items():
            four = [a for a in TARGETS if a in flips]
            shipped = [a for a in flips if a in bench.models.shipped]
            entry["methods"][method] = {
                "attributes": {a: figures.attribute_figures(f, a) for a, f in flips.items()},
                "means": {"four": figures.mean_figures(flips, four),
                          "all": figures.mean_figures(flips, shipped)},
            }  # fmt: skip
            if method != OURS:
                shared = [a for a in four if a in methods[OURS]]
                entry["comparisons"][method] = figures.compare(methods[OURS], flips, shared)
        entry["readout"] = figures.readout_agreement(
            read_faces(bench.models, population), sides, methods[OURS]
        )
        report[name] = entry
    report["trials"] = _trials(bench)
    report["floor"] = report["trials"].pop(FLOOR, {}).get(OURS)
    paths = [bench.likeness_path(index) for index in range(len(bench.photos))]
    for name, some in (("likeness", paths[: bench.people]), ("portraits", paths[bench.people :])):
        if some:
            report[name] = likeness.summarise(some)
    if bench.people:
        report["likeness"]["calibration"] = likeness.calibrate(paths[: bench.people])
    report["targets"] = targets(report)
    return report


def targets(report: Mapping[str, object]) -> list[dict[str, object]]:
    """The issue's targets beside what was measured; a figure that is missing is None."""
    generated = report.get(GENERATED)
    rows: list[dict[str, object]] = []

    def add(what: str, target: str, value: float | None, met: bool | None, note: str = "") -> None:
        rows.append({"what": what, "target": target, "value": value, "met": met, "note": note})

    if generated:
        means = generated["methods"][OURS]["means"]
        for group in ("four", "all"):
            mean = means[group]
            if mean is None:
                continue
            accuracy = mean["accuracy"]["value"]
            add(f"editing accuracy at full strength, {group}", ">= .98", accuracy,
                accuracy >= 0.98, f"mean of {len(mean['attributes'])}")  # fmt: skip
            if KEPT in mean["at_level"]:
                kept = mean["at_level"][KEPT]["value"]
                missing = ", ".join(mean["not_reaching_level"])
                note = f"at their best accuracy: {missing}" if missing else "all reach it"
                if floor := report.get("floor"):
                    note += f"; an unseen change keeps {floor['mean']['value']}"
                add(f"other attributes kept at accuracy .95, {group}", ">= .98", kept,
                    kept >= 0.98 and not missing, note)  # fmt: skip
        for method, rows_of in generated["comparisons"].items():
            compared = rows_of["mean"].get(IDENTITY)
            if compared:
                add(f"identity distance, ours less {method}'s", "< 0, outside the interval",
                    compared["difference"]["value"], compared["outside"] < 0,
                    f"interval {compared['difference']['interval']}")  # fmt: skip
        no_mi = generated["comparisons"].get("no_mi", {}).get("mean", {}).get(KEPT)
        if no_mi:
            add("preservation, ours less no_mi's", "> 0, outside the interval",
                no_mi["difference"]["value"], no_mi["outside"] > 0,
                f"interval {no_mi['difference']['interval']}")  # fmt: skip
    age = report["trials"].get(AGE, {}).get(OURS)
    if age:
        interval = age["either"]["interval"]
        add(f"glasses gained by {YEARS:.0f} years", "<= .01", age["either"]["value"],
            age["aged"] >= AGED and age["either"]["value"] <= 0.01,
            f"{age['aged']} faces aged, {AGED} needed; interval {interval}")  # fmt: skip
    five = report["trials"].get(FIVE_AT_ONCE, {}).get(OURS)
    if five:
        add(f"five attributes at ±{FIVE_STRENGTH}", ">= .85", five["all"]["value"],
            five["all"]["value"] >= 0.85, f"interval {five['all']['interval']}")  # fmt: skip
    if generated and report.get(PEOPLE):
        rows += _people_targets(generated, report[PEOPLE])
    return rows


def build_scores(report: Mapping[str, object], command: str) -> dict[str, object]:
    """The committed figures: attribute → accuracy, preservation, identity; and the means.

    Accuracy is that at full strength; preservation and identity (median distance inversion ↔ edit,
    less is nearer) stand at an editing accuracy of .95, or at the best accuracy where an attribute
    never reaches it; means are those of the report, each attribute at its own place.
    """
    scores: dict[str, object] = {}
    for name in (GENERATED, PEOPLE):
        if name in report:
            ours = report[name]["methods"][OURS]
            table: dict[str, object] = {
                a: _score(one) | {"reaches_95": one["reaches_level"]}
                for a, one in ours["attributes"].items()
            }
            table["means"] = {g: _mean_score(mean) for g, mean in ours["means"].items() if mean}
            scores |= table if name == GENERATED else {name: table}
    scores["command"] = command
    scores["settings"] = report["settings"]
    scores["targets"] = report["targets"]
    for key in ("floor", "trials", "likeness", "portraits"):
        if report.get(key):
            scores[key] = report[key]
    if GENERATED in report:
        scores["readout"] = report[GENERATED]["readout"]
        scores["methods"] = {
            name: _mean_score(one["means"]["four"])
            for name, one in report[GENERATED]["methods"].items() if one["means"]["four"]
        }  # fmt: skip
    return scores


def _score(one: Mapping[str, object]) -> dict[str, object]:
    level, full = one["at_level"], one["at_full"]
    kept, kept_full = level.get(KEPT), full.get(KEPT)  # None where nothing else is judged
    return {
        "accuracy": one["accuracy"]["value"],
        "preservation": kept and kept["value"],
        "identity": level[IDENTITY]["value"],
        "preservation_full": kept_full and kept_full["value"],
    }


def _mean_score(mean: Mapping[str, object]) -> dict[str, object]:
    return _score(mean) | {key: mean[key] for key in ("attributes", "not_reaching_level")}


def _people_targets(generated: Mapping, people: Mapping) -> list[dict[str, object]]:
    rows = []
    for group in ("four", "all"):
        here, there = (p["methods"][OURS]["means"][group] for p in (people, generated))
        if not here or not there:
            continue
        pairs = [("accuracy", here["accuracy"], there["accuracy"], "")]
        if KEPT in here["at_level"]:
            missing = ", ".join({**dict.fromkeys(here["not_reaching_level"]),
                                 **dict.fromkeys(there["not_reaching_level"])})  # fmt: skip
            pairs.append((KEPT, here["at_level"][KEPT], there["at_level"][KEPT], missing))
        for what, mine, its, missing in pairs:
            note = f"; at their best accuracy: {missing}" if missing else ""
            gap = round(mine["value"] - its["value"], 3)
            rows.append({"what": f"{what} on real people, {group}", "target": "within .03",
                         "value": mine["value"], "met": gap >= -0.03 and not missing,
                         "note": f"{gap:+.3f} against generated{note}"})  # fmt: skip
    return rows


def _settings(bench: Workbench) -> dict[str, object]:
    settings = bench.settings
    wanted = (*settings.variants,)
    return {
        "faces": settings.faces, "people": bench.people, "seed": SEED,
        "strengths": list(STRENGTHS), "per_target": settings.per_target,
        "per_person": settings.per_person, "opened": settings.opened,
        "refined": settings.refined, "tuned": settings.tuned,
        "portraits": len(bench.portraits), "attributes": list(bench.attributes),
        "shipped": list(bench.models.shipped),
        "edits": count_edits(bench), "methods": bench.method_names(),
        "missing_variants": [name for name in wanted if bench.method(name) is None],
        "published": PUBLISHED in bench.method_names(),
        "judges": {name: JUDGED[name].note for name in bench.models.attributes if name in JUDGED},
    }  # fmt: skip


def _trials(bench: Workbench) -> dict[str, dict[str, object]]:
    summaries = {AGE: summarise_ageing, FIVE_AT_ONCE: _five, FLOOR: _floor}
    results: dict[str, dict[str, object]] = {}
    for name, method in trials_of(bench):
        table = _read(bench.trial_path(name, method))
        results.setdefault(name, {})[method] = summaries[name](table)
    return results


def summarise_ageing(table: Mapping[str, np.ndarray]) -> dict[str, object]:
    """How many faces aged, and the shares of them that have glasses; of an empty table too."""
    if not table:  # nobody was without glasses
        table = dict.fromkeys(("strength", "judged", "parsed"), np.zeros(0, bool))
    aged = ~np.isnan(table["strength"])
    judged, parsed = table["judged"][aged], table["parsed"][aged]
    figures_of = {"judged": judged, "parsed": parsed, "either": judged | parsed}
    return {"faces": len(aged), "aged": int(aged.sum()),
            **{name: _rate(hits) for name, hits in figures_of.items()}}  # fmt: skip


def _five(table: Mapping[str, np.ndarray]) -> dict[str, object]:
    names = [name for name in FIVE if name in table]
    together = np.all([table[name] for name in names], axis=0)
    return {"faces": len(together), "all": _rate(together),
            **{name: _rate(table[name]) for name in names}}  # fmt: skip


def _floor(table: Mapping[str, np.ndarray]) -> dict[str, object]:
    kept = {name: column for name, column in table.items() if name != "row"}
    together = np.mean(list(kept.values()), axis=0)  # (F,)
    mean = metrics.weighted_mean(together, metrics.resample(len(together)))
    return {"faces": len(together), "mean": metrics.summary(mean),
            **{name: _rate(hits) for name, hits in kept.items()}}  # fmt: skip


def _rate(hits: np.ndarray) -> dict[str, object]:
    value = round(float(hits.mean()), 3) if len(hits) else None
    return {"value": value, "interval": metrics.wilson(int(hits.sum()), len(hits))}


def _read(path: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}
