"""A run in one flat table, as summary.json and `reaf run --json` have it."""

from typing import Any

from .frames import RunStart, RunStop


def summary_of(stop: RunStop, start: RunStart | None = None) -> dict[str, Any]:
    """What a person or a script wants to know of a run.

    `step_ms`, `brain_run_ms`, `brain_readout_ms`, `body_ms`, `transfer_ms` and `overhead_ms` hold median, p99 and
    mean over all steps but the first; `overhead_ms` is the CLE step minus the longer of brain and body.
    """
    facts = dict(stop.facts)
    summary: dict[str, Any] = {}
    if start is not None:
        summary |= {
            "experiment": start.experiment,
            "title": start.title,
            "run": start.run,
            "started_at": start.started_at,
            "seed": start.seed,
            "parameters": dict(start.parameters),
        }
    summary |= {
        "outcome": stop.outcome,
        "exit_status": stop.exit_status,
        "code": stop.code,
        "text": stop.text,
        "service": stop.service,
        "steps": stop.steps,
        "simulated_s": stop.t_ns / 1e9,
        "real_time_factor": stop.real_time_factor,
        "neurons": facts.pop("neurons", 0),
        "synapses": facts.pop("synapses", 0),
        **stop.timing,
        "peak_rss_mb": dict(stop.peak_rss_mb),
        "digest": stop.digest,
        "digests": dict(stop.digests),
        "measures": dict(stop.measures),
        "switched_off": facts.pop("switched_off", []),
        "messages": [dict(message) for message in stop.messages],
        **facts,
    }
    if start is not None:
        summary |= {"versions": dict(start.versions), "machine": dict(start.machine)}
    return summary
