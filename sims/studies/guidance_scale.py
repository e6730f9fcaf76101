"""Sharper guidance or tempering: what s and T each do to both errors."""

from __future__ import annotations

from sims.families import SPIKE, spike_of
from sims.measure import learnt_errors
from sims.study import Study

__all__ = ["STUDY"]


STUDY = Study(
    name="guidance_scale",
    question="Can a larger guidance scale do what tempering does?",
    common=SPIKE | {"learner": "tabular", "temperature": [1.0, 1.5, 2.0, 4.0]},
    scales={
        "mini": {
            "h": [1e2, 1e4, 1e6],
            "n": 1_000,
            "guidance_scale": [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0],
            "seeds": 12,
        },
        "small": {
            "h": [10.0**k for k in range(2, 7)],
            "n": [1_000, 10_000],
            "guidance_scale": [k / 4 for k in range(1, 17)],
            "seeds": 30,
        },
        "full": {
            "h": [10.0**k for k in range(2, 7)],
            "n": [1_000, 10_000, 100_000],
            "guidance_scale": [k / 4 for k in range(1, 17)],
            "seeds": 50,
        },
    },
    prepare=learnt_errors,
    within=("temperature", "guidance_scale"),
    check=spike_of,
)
