"""Training step and prediction of convolutional networks."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """Convolutional networks on images of 28 x 28 pixels, float32, batches of 128, Adam. "deep": four 3 x 3
convolutions (32, 32, 64, 64 filters), each with BatchNorm and ReLU, two max pooling layers, one Dense. "flat": two 5 x
5 convolutions (32, 64 filters) with ReLU and max pooling, Dense 256, ReLU, Dense. LeNet-5: two 5 x 5 convolutions (6,
16 filters) with ReLU and max pooling, Dense 120, 84 and 10. A step is forward, backward and update; prediction is for
10,000 images. PyTorch uses its own image layout, channels first."""

ENTRIES = [Entry(name) for name in ("chainrule", "chainrule, NumPy", "PyTorch")]
TITLES = {
    "lenet": "step of LeNet-5, batch 128", "deep": "step of the deep network, batch 128",
    "flat": "step of the flat network, batch 128", "batchnorm": "step of 784-256-256-256-10 with BatchNorm, batch 128",
    "layernorm": "step of 784-256-256-256-10 with LayerNorm, batch 128",
}  # fmt: skip
WORKLOADS = [
    *(
        Workload(
            f"train-{network}", title, "ms a step", ENTRIES, "train_images",
            {"network": network, "rows": 1280, "batch": 128, "epochs": 1}, quick={"rows": 64, "batch": 32},
            warm_up={"rows": 256}, per="steps",
        )
        for network, title in TITLES.items()
    ),
    *(
        Workload(
            f"predict-{network}", f"10,000 images through the {network} network", "ms", ENTRIES, "predict_images",
            {"network": network, "rows": 10_000}, quick={"rows": 64}, per="calls",
        )
        for network in ("deep", "flat")
    ),
]  # fmt: skip
