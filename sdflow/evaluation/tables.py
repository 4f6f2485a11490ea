"""The report as Markdown: targets, attributes, baselines, what changes what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sdflow.evaluation.figures import KEPT, MEAN_IDENTITY
from sdflow.evaluation.likeness import STAGES
from sdflow.evaluation.methods import OURS
from sdflow.evaluation.populations import GENERATED, PEOPLE
from sdflow.evaluation.protocol import IDENTITY, PHOTO, TARGETS
from sdflow.evaluation.trials import UNSEEN
from sdflow.training.commands import SHIP_ACCURACY, SHIP_PRESERVATION, good_enough

_NAMES = {GENERATED: "generated faces", PEOPLE: "real people"}
_INVERTED = {"likeness": "real people", "portraits": "portraits"}


def markdown(report: Mapping[str, object], scores: Mapping[str, object], command: str) -> str:
    """The whole report."""
    settings = report["settings"]
    edits = ", ".join(f"{n} on {_NAMES[name]}" for name, n in settings["edits"].items())
    parts = [
        "# Evaluation",
        f"`{command}`: {settings['faces']} generated faces (psi 0.7, seed {settings['seed']}) and "
        f"{settings['people']} real people, all kept out of training; edits judged: {edits}. "
        f"Flips judged per attribute: {_flips(report)}.",
        _missing(settings),
        "## Targets",
        _table(("", "target", "measured", "met", ""),
               [(t["what"], t["target"], _number(t["value"]), "yes" if t["met"] else "**no**",
                 t["note"]) for t in report["targets"]]),
    ]  # fmt: skip
    for name in (GENERATED, PEOPLE):
        if name in report:
            score = scores if name == GENERATED else scores[name]
            parts += [f"## Attributes, {_NAMES[name]}", _attributes(report[name], score),
                      _attribute_notes()]  # fmt: skip
    parts += _floor(report.get("floor"))
    if GENERATED in report:
        parts += _methods(report[GENERATED])
    parts += _trials(report["trials"])
    for name in (GENERATED, PEOPLE):
        if name in report:
            parts += [f"## The program's own readout, {_NAMES[name]}",
                      "Share of faces on which the readout (c above or below .5) says what the "
                      "judge says, before an edit and at its full strength.",
                      _table(("", "before", "after"),
                             [(a, _number(r["before"]), _number(r["after"]))
                              for a, r in report[name]["readout"].items()])]  # fmt: skip
    parts += _likeness(report)
    return "\n\n".join(part for part in parts if part) + "\n"


def _likeness(report: Mapping[str, object]) -> list[str]:
    """Inversions of people and portraits, stage by stage, and what their edits lose."""
    heads = ("people", "dlib", "dlib_same", "faceres", "faceres_same", "l2", "ms_ssim", "seconds")
    edited = ("people", "flipped", "kept", "identity")
    parts = []
    for name in _INVERTED:
        stages = {stage: row for stage, row in report.get(name, {}).items() if stage in STAGES}
        if stages:
            parts += [f"## Inversions: {_INVERTED[name]}",
                      "Median distances photo to inversion and shares below the threshold of one "
                      "person; mean squared error and similarity at 256 px; median seconds. The "
                      "optimisation looks at dlib's network, so faceres is the judge.",
                      _table(("stage", *heads), [(stage, *(row[h] for h in heads))
                                                 for stage, row in stages.items()])]  # fmt: skip
        rows = [
            (stage, *(row["edits"][h] for h in edited), *row["lost"].values())
            for stage, row in stages.items() if "edits" in row
        ]  # fmt: skip
        if rows:
            parts += ["Target attributes to their other side at full strength, on these "
                      "inversions, and what is lost against feed-forward ones of these people.",
                      _table(("stage", *edited, "flips lost", "kept lost"), rows)]
    return parts


def _attributes(entry: Mapping[str, object], scores: Mapping[str, object]) -> str:
    rows, good = [], good_enough(scores)
    for name, one in entry["methods"][OURS]["attributes"].items():
        full, level = one["at_full"], one["at_level"]
        mark = "" if one["reaches_level"] else "*"
        rows.append((
            name, one["faces"], _with_interval(one["accuracy"]),
            f"{_number(one['to_positive'])} / {_number(one['to_negative'])}",
            _with_interval(level.get(KEPT)) + mark, _with_interval(full.get(KEPT)),
            _with_interval(level[IDENTITY]) + mark,
            *([_with_interval(level[PHOTO])] if PHOTO in level else []),
            _number(one["spearman"]), "yes" if name in good else "no",
        ))  # fmt: skip
    for group, mean in entry["methods"][OURS]["means"].items():
        if mean:
            full, level = mean["at_full"], mean["at_level"]
            mark = "*" if mean["not_reaching_level"] else ""
            rows.append((
                f"**mean of {group}**", "", _with_interval(mean["accuracy"]), "",
                _with_interval(level.get(KEPT)) + mark, _with_interval(full.get(KEPT)),
                _with_interval(level[IDENTITY]) + mark,
                *([_with_interval(level[PHOTO])] if PHOTO in level else []), "", "",
            ))  # fmt: skip
    photo = ["identity photo ↔ edit"] if any(len(row) == 10 for row in rows) else []
    heads = ("", "faces", "accuracy", "to + / to −", "kept at .95", "kept at full strength",
             "identity at .95", *photo, "Spearman", "good enough")  # fmt: skip
    return _table(heads, rows)


def _attribute_notes() -> str:
    notes = (
        "Accuracy: share of faces whose judged label flipped at full strength. Kept: mean share "
        "of all other judged attributes, with a slider or without, that stayed on their side. "
        "All: the attributes with a slider. "
        "Identity: median distance of faceres, inversion to edit, less is nearer. Brackets: 95 % "
        "bootstrap intervals over faces. * an accuracy of .95 is not reached: at the best one."
    )
    shipped = f" Good enough: accuracy from {SHIP_ACCURACY}, kept from {SHIP_PRESERVATION}."
    return notes + shipped


def _floor(floor: Mapping[str, object] | None) -> list[str]:
    if not floor:
        return []
    shares = {name: figure for name, figure in floor.items() if name != "faces"}
    return ["## The judges' floor",
            f"Share of sides that stay when w of {floor['faces']} generated faces changes by a "
            f"normal of deviation {UNSEEN}, which nobody sees: no edit can be measured to keep "
            f"more than about {_with_interval(floor['mean'])}. What is missing to 1 is the "
            "judges' noise on faces near their thresholds.",
            _table(("", "unchanged"), [(n, _with_interval(f)) for n, f in shares.items()]),
            ]  # fmt: skip


def _methods(entry: Mapping[str, object]) -> list[str]:
    rows = []
    for name, one in entry["methods"].items():
        mean = one["means"]["four"]
        if mean:
            level, full = mean["at_level"], mean["at_full"]
            mark = "*" if mean["not_reaching_level"] else ""
            rows.append((name, ", ".join(mean["attributes"]), _with_interval(mean["accuracy"]),
                         _with_interval(level.get(KEPT)) + mark, _with_interval(full.get(KEPT)),
                         _with_interval(level[IDENTITY]) + mark,
                         _number(level[MEAN_IDENTITY]["value"])))  # fmt: skip
    parts = ["## Methods", "The same faces, judges and strengths for all; means over the target "
             "attributes that a method has. Every method's full strength is tuned on faces of the "
             "training's bank: the nearest pole that flips the most. * at the best accuracy "
             "where .95 is not reached.",
             _table(("", "over", "accuracy", "kept at .95", "kept at full strength",
                     "identity at .95", "its mean"), rows)]  # fmt: skip
    if entry["comparisons"]:
        rows = []
        for method, compared in entry["comparisons"].items():
            for name, row in compared.items():
                for key, better in ((KEPT, 1), (IDENTITY, -1)):
                    if key in row:
                        one = row[key]
                        verdict = {0: "within", better: "ours better"}.get(one["outside"],
                                                                         "ours worse")  # fmt: skip
                        rows.append((method, name, _number(row.get("accuracy")), key,
                                     _number(one["ours"]), _number(one["other"]),
                                     _with_interval(one["difference"]), verdict))  # fmt: skip
        parts += ["## Differences at equal accuracy",
                  "Ours less the other's, face by face, at the highest accuracy up to .95 that "
                  "both reach; *within*: the 95 % interval holds 0.",
                  _table(("against", "attribute", "at accuracy", "", "ours", "other",
                          "difference", ""), rows)]  # fmt: skip
    return parts


def _trials(trials: Mapping[str, Mapping[str, Mapping]]) -> list[str]:
    parts = []
    if ageing := trials.get("age"):
        rows = [(m, f"{t['aged']} of {t['faces']}", *(_with_interval(t[k]) for k in
                 ("judged", "parsed", "either"))) for m, t in ageing.items()]  # fmt: skip
        parts += ["## Glasses that come with 20 years",
                  "Faces without glasses, aged until the teacher's age has risen by 20 years; the "
                  "share that then has glasses (Wilson's intervals).",
                  _table(("", "aged so", "Sobel judge", "BiSeNet", "either"), rows)]
    if five := trials.get("five"):
        names = [n for n in next(iter(five.values())) if n != "faces"]
        rows = [(m, t["faces"], *(_with_interval(t[n]) for n in names)) for m, t in five.items()]
        parts += ["## Five attributes at once, to the other side at ±0.8",
                  _table(("", "faces", *names), rows)]  # fmt: skip
    return parts


def _flips(report: Mapping[str, object]) -> str:
    """On how many faces ours flipped the target attributes, and on how many the others."""
    pieces = []
    for population in (name for name in (GENERATED, PEOPLE) if name in report):
        flipped = report[population]["methods"][OURS]["attributes"]
        for what, chosen in (("target", [a for a in flipped if a in TARGETS]),
                             ("other", [a for a in flipped if a not in TARGETS])):  # fmt: skip
            counts = sorted({flipped[a]["faces"] for a in chosen})
            if counts:
                count = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
                pieces.append(f"{count} {_NAMES[population]} ({what} attributes)")
    return ", ".join(pieces)


def _missing(settings: Mapping[str, object]) -> str:
    sentences = [f"The variant {name} was not trained on this machine and is left out."
                 for name in settings["missing_variants"]]  # fmt: skip
    if not settings["published"]:
        sentences.append("No file of published directions was given (`--directions`).")
    return " ".join(sentences)


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def _with_interval(figure: Mapping[str, object] | None) -> str:
    if figure is None or figure["value"] is None:
        return "–"
    low, high = figure["interval"] or (None, None)
    return f"{_number(figure['value'])} [{_number(low)}, {_number(high)}]"
