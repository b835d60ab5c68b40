"""A record's numbers computed again: a sample of them, or all, and the verdict.

    confirmed           the values agree within the task's tolerance (or, where a fit was made again, the scores do)
    differs             they do not; the samples that lie farthest off are named
    cannot be verified  the run cannot be made again here; the reason is the first thing that differs

Of the values 2 % may lie beyond tolerance: where two matches are equally good, another device may take the other one.
They have to fall on both sides and must not move the score out of its interval. Deviations within tolerance have to
fall on both sides as well: a tolerance leaves room for chance, not for a bonus.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from scipy import stats

from bench3d import __version__
from bench3d.contracts import MetricSpec, Progress
from bench3d.errors import Bench3DError, DataError, PluginError
from bench3d.leaderboard.badges import Verification
from bench3d.leaderboard.safety import plain_text
from bench3d.leaderboard.verify_samples import NOTED, Agreement, Values, compare_samples
from bench3d.leaderboard.verify_scores import ScorePair, refit_disagrees, score_pairs, wrong_scores
from bench3d.records import Record, iter_samples, sidecar_of
from bench3d.records import provenance as origin
from bench3d.runner import RunPlan
from bench3d.runner.respec import plan_of

Verdict = Literal["confirmed", "differs", "cannot be verified"]
FLIPS = 0.02
"""Share of the values that may lie beyond tolerance."""
ONE_SIDED = 0.01
"""p-value of the sign test below which deviations are called one-sided."""
MAX_SAMPLE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a verification found. `verification` is there where the record was confirmed; `error` where it could not be.

    `refitted` names the fits that are not the record's own: then only scores can agree.
    """

    record: Record
    verdict: Verdict
    reason: str
    samples: int = 0
    of: int = 0
    seed: int = 0
    agreement: Agreement = field(default_factory=Agreement)
    scores: Sequence[ScorePair] = ()
    refitted: Sequence[str] = ()
    verification: Verification | None = None
    error: Bench3DError | None = None


def verify(
    record: Record,
    folder: Path,
    *,
    share: float | int,
    results: Path,
    progress: Progress,
    seed: int | None = None,
    **given: Any,
) -> Verified:
    """Computes a part of a record again and compares. Writes no record and changes nothing in `results`.

    Args:
        folder: of the record, with its sidecar.
        share: of the samples, see `bench3d.runner.again.parse_share`.
        results: where fits are looked for.
        seed: of the draw; None for one that nobody can foresee.
        given: data, device, offline, weights, checkpoint, settings of `bench3d.runner.respec.spec_of`.

    Raises:
        what evaluating raises: out of memory, interruption, broken plugins.
    """
    from bench3d.runner.again import draw, evaluate_again, missing_fits

    seed = secrets.randbelow(1 << 31) if seed is None else seed
    begun = Verified(record=record, verdict="cannot be verified", reason="", of=record.samples, seed=seed)
    try:
        then, digest = _stated(record, folder)
        plan = plan_of(record, results=results, **given)
    except Bench3DError as error:
        return replace(begun, reason=error.message, error=error)
    ids: dict[str, list[str]] = {category: [] for category in plan.categories}
    for category, name in then:
        ids.setdefault(category, []).append(name)
    wanted = draw(ids, share, seed, record.identity.hash, digest)
    _announce(plan, record, sum(map(len, wanted.values())), missing_fits(plan), progress)
    again = evaluate_again(plan, record, wanted, progress)
    now = {(str(v["category"]), str(v["id"])): v for v in again.values}
    found = replace(begun, samples=len(now), of=len(then), refitted=again.refitted)
    reason = _other_samples(ids, again.ids) or _other_choice(record, again.choices)
    if not reason:
        try:
            found, reason = _judged(found, again.metrics, then, now)
        except (TypeError, ValueError, KeyError, AttributeError, PluginError) as error:
            reason = f"The record's samples give no scores: {error}."
    if reason:
        return replace(found, verdict="differs", reason=plain_text(reason))
    verification = _verification(found, digest, again.device)
    return replace(found, verdict="confirmed", reason=plain_text(_confirmed(found)), verification=verification)


def _judged(found: Verified, metrics: Sequence[MetricSpec], then: Values, now: Values) -> tuple[Verified, str]:
    """What was found with scores and agreement, and why they do not agree; empty where they do."""
    wrong = wrong_scores(metrics, found.record, then)
    found = replace(
        found,
        agreement=compare_samples(metrics, then, now),
        scores=score_pairs(metrics, found.record, {name: then[name] for name in now}, now),
    )
    described = found.agreement.described
    if wrong or described:
        more = f" and {len(described) - 1} more" if len(described) > 1 else ""
        return found, wrong or f"Samples are described otherwise than here: {described[0]}{more}."
    return found, refit_disagrees(found.scores) if found.refitted else _sample_level(found)


def _stated(record: Record, folder: Path) -> tuple[dict[tuple[str, str], dict[str, Any]], str]:
    """The samples that a record states, by category and id, and their digest.

    Raises:
        DataError: the run did not finish, or its samples are missing, broken, or not those that the record names.
    """
    if record.status != "finished":
        raise DataError(f"The run did not finish: its status is {record.status}.")
    path = sidecar_of(folder)
    if path is None:
        raise DataError(f"{folder} has no samples.jsonl.", "Its values are needed: there is nothing to compare with.")
    lines = iter_samples(path, max_bytes=MAX_SAMPLE_BYTES)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for value in lines:
        name = (value.get("category"), value["id"])
        if not isinstance(name[0], str) or not isinstance(value.get("cluster"), str) or name in found:
            raise DataError(f"{path}, line {lines.lines}: category or cluster missing, or the sample stands twice.")
        if not isinstance(value.get("parts") or {}, dict):
            raise DataError(f"{path}, line {lines.lines}: parts is no object.")
        found[name[0], name[1]] = value
    if record.samples_sha256 is not None and lines.sha256 != record.samples_sha256:
        raise DataError(f"{path} is not the file that the record names: its digest is another one.")
    if len(found) != record.samples or not found:
        raise DataError(f"{path} has {len(found)} samples, and the record {record.samples}.")
    return found, lines.sha256


def _announce(plan: RunPlan, record: Record, count: int, missing: Sequence[Any], progress: Progress) -> None:
    """Says what is going to be done, and about how long the record says it takes."""
    seconds = (record.cost.evaluate_seconds or 0.0) * count / max(record.samples, 1)
    known = {(fit.component, fit.category): fit.seconds or 0.0 for fit in record.fits}
    fitting = sum(known.get((job.component, job.category), 0.0) for job in missing)
    if missing:
        progress.say(f"{len(missing)} fits are not in {plan.spec.results} and are made again (took {fitting:.0f} s).")
    progress.say(f"Computing {count} of {record.samples} samples again (took {seconds:.0f} s where they were made).")


def _other_samples(stated: Mapping[str, Sequence[str]], here: Mapping[str, Sequence[str]]) -> str:
    for category in sorted({*stated, *here}):
        told, known = set(stated.get(category, ())), set(here.get(category, ()))
        if known - told:
            first = min(known - told)
            return f"The record leaves out {len(known - told)} of {len(known)} samples of {category}, such as {first}."
        if told - known:
            return (
                f"The record has {len(told - known)} samples of {category} that the task has not: {min(told - known)}."
            )
    return ""


def _other_choice(record: Record, choices: Sequence[Any]) -> str:
    stated = {choice.setting: choice.chosen for choice in record.choices}
    for choice in choices:
        if stated.get(choice.setting) != choice.chosen:
            there = stated.get(choice.setting)
            return f"{choice.setting} {choice.chosen} is chosen here on validation data, and {there} is in the record."
    return ""


def _sample_level(found: Verified) -> str:
    """Why the samples do not agree; empty where they do."""
    agreement = found.agreement
    if agreement.beyond:
        share = agreement.beyond / agreement.values
        if share > FLIPS:
            lone = " A larger --sample shows whether that is rare." if found.samples < found.of and share < 0.1 else ""
            lie = f"{agreement.beyond} of {agreement.values} values lie beyond tolerance"
            return f"{lie} ({share:.1%}; {FLIPS:.0%} may).{lone}"
        sides = [d.favours for d in agreement.deviations]
        better, worse = sum(s for s in sides if s > 0), -sum(s for s in sides if s < 0)
        if _one_sided(better, worse):
            return f"Of the values beyond tolerance {better} are better in the record and {worse} worse."
        for pair in found.scores:
            if abs(pair.difference) > (pair.half_width or 0.0) + 1e-9:
                return f"{pair.metric} is {pair.then:.4g} in the record and {pair.now:.4g} now on the same samples."
    for key, lean in agreement.leans.items():
        if lean.mean > NOTED and _one_sided(lean.better, lean.worse):
            return (
                f"Within tolerance, and to the record's favour: {key} of {lean.better} samples is better than here, "
                f"of {lean.worse} worse."
            )
    return ""


def _one_sided(better: int, worse: int) -> bool:
    """Whether so many against so few are no chance (sign test)."""
    if better <= worse:
        return False
    return bool(stats.binomtest(better, better + worse, 0.5, alternative="greater").pvalue < ONE_SIDED)


def _confirmed(found: Verified) -> str:
    part = f"{found.samples} of {found.of} samples"
    if found.refitted:
        return f"{part} computed again with fits made again ({', '.join(found.refitted)}): the scores agree."
    if found.agreement.beyond:
        return f"{part} computed again: {found.agreement.share:.2%} of the values agree, the others on both sides."
    return f"{part} computed again: every value agrees."


def _verification(found: Verified, digest: str, device: str) -> Verification:
    return Verification(
        identity=found.record.identity.hash,
        samples_sha256=digest,
        kind="re-run" if found.samples == found.of else "sample-verified",
        samples=found.samples,
        of=found.of,
        agreeing=found.agreement.share,
        largest_deviation=found.agreement.largest,
        level="score" if found.refitted else "samples",
        seed=found.seed,
        device=origin.device_name(device),
        bench3d=__version__,
        versions=origin.library_versions(),
        commit=origin.source_commit(),
        date=datetime.now(timezone.utc).replace(microsecond=0),
    )
