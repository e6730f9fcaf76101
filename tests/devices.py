"""The devices that this machine computes on: what is parametrised by them runs on each."""

from __future__ import annotations

import torch

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
