"""The training loop: it learns, continues interrupted runs exactly, and refuses checkpoints of other runs."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from oncotrack.errors import InputError, TrainingError
from oncotrack.training import checkpoint, loop
from oncotrack.training.optimisers import optimisers
from oncotrack.training.plan import Plan

PLAN = Plan(steps=12, batch=4, learning_rate=0.05, final_learning_rate=0.001, warmup=3, clip=10.0, average=0.9,
            log_every=4, save_every=4)  # fmt: skip


@dataclass
class Batch:
    x: torch.Tensor
    y: torch.Tensor

    def to(self, device):
        return Batch(self.x.to(device), self.y.to(device))


class Line:
    """Points of a line; sample n is always the same."""

    def sample(self, index: int):
        x = torch.randn(3, generator=torch.Generator().manual_seed(index))
        return x, x.sum() * 2 + 1

    def collate(self, samples: list) -> Batch:
        x, y = zip(*samples, strict=True)
        return Batch(torch.stack(x), torch.stack(y)[:, None])


def step_loss(model, batch, generator):
    noise = torch.rand(batch.x.shape, generator=generator) * 0.01
    return {"loss": (model(batch.x + noise) - batch.y).square().mean()}


def network():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(8, 8), torch.nn.Linear(8, 1)
    )


def run(out, plan=PLAN, **options):
    return loop.train(network(), Line(), step_loss, plan, out, device="cpu", **options)


@pytest.mark.parametrize("optimiser", ["radam", "muon"])
def test_an_interrupted_run_equals_an_uninterrupted_one(tmp_path, optimiser):
    plan = replace(PLAN, optimiser=optimiser)
    whole, steps = run(tmp_path / "whole", plan)
    assert steps == PLAN.steps

    class Cut(Exception):
        pass

    def cutting(fraction, _text):
        if fraction >= 6 / PLAN.steps:
            raise Cut

    with pytest.raises(Cut):
        run(tmp_path / "cut", plan, progress=cutting)
    parts, _ = run(tmp_path / "cut", plan)
    assert all(torch.equal(parts[name], value) for name, value in whole.items())
    rows = [list(csv.DictReader((tmp_path / name / loop.LOG).open())) for name in ("whole", "cut")]
    assert [row["loss"] for row in rows[0]] == [row["loss"] for row in rows[1]]
    assert [int(row["step"]) for row in rows[0]] == [4, 8, 12]


@pytest.mark.parametrize("optimiser", ["radam", "muon"])
def test_it_learns(tmp_path, optimiser):
    run(tmp_path, replace(PLAN, steps=200, log_every=20, average=0.0, optimiser=optimiser))
    losses = [float(row["loss"]) for row in csv.DictReader((tmp_path / loop.LOG).open())]
    assert losses[-1] < losses[0] / 3


def test_time_can_run_out(tmp_path):
    _, steps = run(tmp_path, max_minutes=0.0)
    assert steps == 0
    assert (tmp_path / checkpoint.NAME).is_file()
    assert run(tmp_path)[1] == PLAN.steps


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    run(tmp_path, about="one")
    with pytest.raises(TrainingError, match="another network, data or plan"):
        run(tmp_path, about="two")
    with pytest.raises(TrainingError, match="another network, data or plan"):
        run(tmp_path, replace(PLAN, batch=2), about="one")
    (tmp_path / checkpoint.NAME).write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match="damaged"):
        run(tmp_path, about="one")


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_muon_optimises_the_matrices_and_steps_downhill(layout):
    """The kernel of a convolution is stepped as a matrix: orthogonal, and of the size of Adam's steps."""
    model = torch.nn.Sequential(torch.nn.Conv2d(4, 16, 3), torch.nn.Flatten(), torch.nn.Linear(16, 1))
    model.to(memory_format=layout)
    muon, rest = optimisers(model, replace(PLAN, optimiser="muon", weight_decay=0.0))
    kernel, before = model[0].weight, model[0].weight.detach().clone()
    assert [tuple(each.shape) for each in muon.param_groups[0]["params"]] == [(16, 36)]
    assert len(rest.param_groups[0]["params"]) == 3
    model(torch.randn(8, 4, 3, 3)).square().mean().backward()
    muon.step()
    step = (kernel.detach() - before).flatten(1)
    assert (step * kernel.grad.flatten(1)).sum() < 0
    spread = torch.linalg.svdvals(step)[: torch.linalg.matrix_rank(kernel.grad.flatten(1))]
    assert spread.max() < 2 * spread.min()
    assert spread.max() == pytest.approx(PLAN.learning_rate * 0.2 * 6, rel=0.5)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    def broken(model, batch, generator):
        return {"loss": step_loss(model, batch, generator)["loss"] * float("nan")}

    with pytest.raises(TrainingError, match="lower learning rate"):
        loop.train(network(), Line(), broken, PLAN, tmp_path, device="cpu")


def test_the_learning_rate_rises_and_falls_as_the_paper_says():
    plan = Plan(steps=30_000)
    assert plan.rate(0) == pytest.approx(2e-4 / 500)
    assert plan.rate(499) == pytest.approx(2e-4)
    assert plan.rate((30_000 + 500) // 2) == pytest.approx((2e-4 + 1e-5) / 2, rel=1e-3)
    assert plan.rate(30_000) == pytest.approx(1e-5)


def test_an_invalid_plan_is_refused():
    with pytest.raises(InputError, match="at least one step"):
        Plan(steps=0)
    with pytest.raises(InputError, match="precision"):
        Plan(steps=1, precision="fp8")
    with pytest.raises(InputError, match="choose radam, adam or muon"):
        Plan(steps=1, optimiser="sgd")


SPREAD = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import torch
import test_training_loop as shared
from oncotrack.training import loop
for optimiser in ("radam", "muon"):
    out = Path({out!r}) / optimiser
    plan = shared.replace(shared.PLAN, batch=2, optimiser=optimiser)
    state, steps = loop.train(shared.network(), shared.Line(), shared.step_loss, plan, out, device="cpu", max_minutes=5)
    torch.save(state, out / f"state{{torch.distributed.get_rank()}}.pt")
"""


@pytest.mark.slow
def test_two_processes_learn_the_same(tmp_path):
    script = tmp_path / "spread.py"
    script.write_text(SPREAD.format(folder=str(Path(__file__).parent), out=str(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)],
        timeout=300,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    for out in (tmp_path / "radam", tmp_path / "muon"):
        one, two = (torch.load(out / f"state{rank}.pt") for rank in range(2))
        assert all(torch.equal(one[name], two[name]) for name in one)
        assert not any(torch.equal(one[name], value) for name, value in network().state_dict().items())
        assert [row["step"] for row in csv.DictReader((out / loop.LOG).open())] == ["4", "8", "12"]
