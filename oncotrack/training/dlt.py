"""Plans for the training of DLT (sec. 4); the paper states neither optimiser, learning rate nor length."""

from oncotrack.followup.dlt.config import CONFIGS
from oncotrack.followup.dlt.losses import step_loss
from oncotrack.followup.dlt.network import DLT
from oncotrack.training.lesion_tracker import System
from oncotrack.training.plan import Plan

PLANS = {
    "paper": Plan(steps=60_000, batch=4, learning_rate=1e-4, precision="bf16", workers=8),
    "compact": Plan(steps=4_000, batch=4, learning_rate=1e-3, warmup=100, clip=1.0, average=0.998, precision="bf16"),
}
SYSTEM = System("dlt", DLT, CONFIGS, PLANS, step_loss)
