"""Training: the loop over epochs and batches, its options, and the training step in plain and compiled code."""

from chainrule.training.augmentation import Augmentation, Mixup, RandomShift
from chainrule.training.averaging import EMA, SWA, WeightAverage
from chainrule.training.callbacks import Callback, EarlyStopping, Progress, Run
from chainrule.training.checkpoints import Checkpoint, CheckpointError, CheckpointWarning
from chainrule.training.clipping import Clip, ClipNorm, ClipValue
from chainrule.training.history import History
from chainrule.training.loop import DivergenceError, evaluate, train
from chainrule.training.rate_finder import RangeTest, lr_range_test

__all__ = [
    "EMA",
    "SWA",
    "Augmentation",
    "Callback",
    "Checkpoint",
    "CheckpointError",
    "CheckpointWarning",
    "Clip",
    "ClipNorm",
    "ClipValue",
    "DivergenceError",
    "EarlyStopping",
    "History",
    "Mixup",
    "Progress",
    "RandomShift",
    "RangeTest",
    "Run",
    "WeightAverage",
    "evaluate",
    "lr_range_test",
    "train",
]
