"""Plans for the training of TLT: the paper's (sec. 4), and one for the compact network on one processor."""

from oncotrack.followup.tlt.config import CONFIGS
from oncotrack.followup.tlt.losses import step_loss
from oncotrack.followup.tlt.network import TLT
from oncotrack.training.lesion_tracker import System
from oncotrack.training.plan import Plan

PLANS = {
    "paper": Plan(steps=100_000, batch=2, learning_rate=1e-4, precision="bf16", workers=8),
    "compact": Plan(steps=6_000, batch=4, learning_rate=1e-3, warmup=100, clip=1.0, average=0.998, precision="bf16"),
}
SYSTEM = System("tlt", TLT, CONFIGS, PLANS, step_loss)
