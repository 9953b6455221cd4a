#!/usr/bin/env bash
# torch 2.13.0: torch.optim.Muon computes its steps in bfloat16, whatever the type of the weights, and has no switch for it.
#
# Weights in float64 get steps with three right digits, although the documentation of the class names no precision. On
# processors that do not compute in bfloat16 themselves the conversion also makes the step much slower than that of Adam.
# The figures are those of one step without momentum and weight decay, against the same iteration in float64.
#
# Output seen:
#   weights float64: largest relative difference above 0.001 (that of rounding in float64 would be below 0.000000000001)
#   weights float32: the same step up to the rounding of float32
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "torch==2.13.0" "numpy==2.2.6"
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
import inspect
import sys

import torch

COEFFICIENTS = 3.4445, -4.7750, 2.0315  # the default of the class


def exact(gradient: torch.Tensor) -> torch.Tensor:
    a, b, c = COEFFICIENTS
    x = gradient / gradient.norm()
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x


def step(gradient: torch.Tensor) -> torch.Tensor:
    weight = torch.nn.Parameter(torch.zeros_like(gradient))
    weight.grad = gradient.clone()
    torch.optim.Muon([weight], lr=1.0, weight_decay=0, momentum=0, nesterov=False).step()
    return -weight.detach()


gradient = torch.randn(64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
wanted, got = exact(gradient), step(gradient)
assert got.dtype == torch.float64
difference = float((got - wanted).abs().max() / wanted.abs().max())
rounding = float((exact(gradient.float()).double() - wanted).abs().max() / wanted.abs().max())
narrow = float((step(gradient.float()).double() - got).abs().max() / wanted.abs().max())
print(f"weights float64: largest relative difference {difference:.4f}; float32 throughout would give {rounding:.7f}")
print(f"weights float32: differs from that step by {narrow:.7f}")
has_switch = any("dtype" in name or "precision" in name for name in inspect.signature(torch.optim.Muon).parameters)
if not (difference > 1e-3 and rounding < 1e-5 and narrow < 1e-5 and not has_switch):
    sys.exit("This behaviour has changed.")
PYTHON
