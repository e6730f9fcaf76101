"""Retain against forget error: the fronts that temperature, guidance scale and both trace."""

from __future__ import annotations

from sims.families import SPIKE, spike_of
from sims.measure import learnt_errors
from sims.study import Study

__all__ = ["STUDY"]


STUDY = Study(
    name="pareto",
    question="Which retain errors buy which forget errors, by temperature, by scale and by both?",
    common=SPIKE | {"overlap": 0.05, "learner": "tabular"},
    scales={
        "mini": {
            "h": [1e2, 1e4, 1e6],
            "n": 1_000,
            "temperature": [1.0, 1.25, 1.5, 2.0, 3.0, 4.0],
            "guidance_scale": [0.5, 1.0, 1.5, 2.0, 3.0, 4.0],
            "seeds": 6,
        },
        "small": {
            "h": [1e2, 1e4, 1e6],
            "n": [1_000, 10_000],
            "temperature": [1 + k / 4 for k in range(13)],
            "guidance_scale": [k / 4 for k in range(1, 17)],
            "seeds": 20,
        },
        "full": {
            "h": [1e2, 1e6, 1e10],
            "n": [1_000, 10_000],
            "temperature": [1 + k / 4 for k in range(13)],
            "guidance_scale": [k / 2 for k in range(1, 9)],
            "seeds": 50,
        },
    },
    prepare=learnt_errors,
    within=("temperature", "guidance_scale"),
    check=spike_of,
)
