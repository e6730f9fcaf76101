"""The card of an adapter (`README.md`): what was trained on what, what it does, how to load it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["card"]

CARD = """\
---
{base_model}tags: [unlearning, temper-then-tilt]
---
# Unlearning adapter

A low-rank classifier of retain against forget tokens for the base model `{base}`, applied as
`log p / T + s · log f` at every position. Transformers' Auto classes do not know it;

```python
from llm.model import T3ForCausalLM

model = T3ForCausalLM.from_pretrained("{folder}")
```

| pairs | number | file | sha256 |
|---|--:|---|---|
| to forget | {forget} | {forget_file} |
| to retain | {retain} | {retain_file} |
| of these held out from training | {heldout} | | |

| mean loss, nats a token | base | unlearned |
|---|--:|--:|
| pairs to forget | {base_forget:.4f} | {forget_loss:.4f} |
| held-out retain pairs | {base_retain:.4f} | {retain_loss:.4f} |

| | |
|---|---|
| settings | T = {temperature:g}, s = {scale:g}, gate {gate} |
| head | rank {rank}, {steps} steps, stopped by {stopped} |
| head risk (balanced, nats a token) | {risk:.4f}, at most {upper:.4f} with confidence {confidence:g} |

**Threat model.** This unlearns behind an interface. The base model's weights are unchanged:
whoever holds them, or can remove this adapter, has what was to be forgotten. The head itself
was trained on the pairs to forget and may tell which tokens they hold.

The folder holds the head (`head.safetensors`), its settings (`t3_config.json`) and all
figures of its training (`unlearn.json`).
"""

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def card(report: Mapping[str, Any], base: str, folder: str) -> str:
    """The card as Markdown, with no path of the machine it was made on.

    Args:
        report: from `unlearn`; its "files" may name the two files of pairs.
        base: the base's folder or Hub name, or "".
        folder: the adapter's.
    """
    chosen, pairs = report["chosen"], report["pairs"]
    on_hub = not Path(base).exists() and _HUB_NAME.fullmatch(base)
    return CARD.format(
        base_model=f"base_model: {base}\nbase_model_relation: adapter\n" if on_hub else "",
        base=base if on_hub else (base and Path(base).resolve().name) or "(unnamed)",
        folder=folder,
        forget=pairs["forget"],
        retain=pairs["retain"] + pairs["heldout_retain"],
        heldout=pairs["heldout_retain"],
        forget_file=_file(report, "forget"),
        retain_file=_file(report, "retain"),
        rank=report["head"]["rank"],
        steps=report["steps"],
        stopped=report["stopped_by"],
        temperature=chosen["config"]["temperature"],
        scale=chosen["config"]["guidance_scale"],
        gate=chosen["config"]["gate"],
        risk=report["risk"]["balanced"],
        upper=report["risk"]["balanced_upper"],
        confidence=report["risk"]["confidence"],
        base_retain=report["base_loss"]["heldout_retain"],
        retain_loss=report["base_loss"]["heldout_retain"] + chosen["retain_cost"],
        base_forget=report["base_loss"]["forget"],
        forget_loss=chosen["forget_loss"],
    )


def _file(report: Mapping[str, Any], which: str) -> str:
    """Name and hash as two cells of a table."""
    file = report.get("files", {}).get(which)
    return f"`{file['name']}` | `{file['sha256']}`" if file else "(pairs in memory) | "
