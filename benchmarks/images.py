"""The time of a training step and of a prediction of convolutional networks."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """Convolutional networks on images of 28 x 28 pixels, float32, batches of 128, Adam. "deep": four convolutions
of 3 x 3 (32, 32, 64, 64 filters), each with BatchNorm and ReLU, two max-poolings, one Dense. "flat": two convolutions
of 5 x 5 (32, 64 filters) with ReLU and max-pooling, Dense 256, ReLU, Dense. A step is forward, backward and update;
the prediction is of 10,000 images. PyTorch has its images in its own layout, channels first."""

ENTRIES = [Entry(name) for name in ("chainrule", "chainrule, NumPy", "PyTorch")]
NETWORKS = ("deep", "flat")
WORKLOADS = [
    *(
        Workload(
            f"train-{network}", f"step of the {network} network, batch 128", "ms a step", ENTRIES, "train_images",
            {"network": network, "rows": 1280, "batch": 128, "epochs": 1}, quick={"rows": 64, "batch": 32},
            warm_up={"rows": 256}, per="steps",
        )
        for network in NETWORKS
    ),
    *(
        Workload(
            f"predict-{network}", f"10,000 images through the {network} network", "ms", ENTRIES, "predict_images",
            {"network": network, "rows": 10_000}, quick={"rows": 64}, per="calls",
        )
        for network in NETWORKS
    ),
]  # fmt: skip
