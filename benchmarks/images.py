"""Training step and prediction of convolutional networks."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """Convolutional networks on images of 28 x 28 pixels, float32, batches of 128, Adam. "deep": four 3 x 3
convolutions (32, 32, 64, 64 filters), each with BatchNorm and ReLU, two max pooling layers, one Dense. "flat": two 5 x
5 convolutions (32, 64 filters) with ReLU and max pooling, Dense 256, ReLU, Dense. A step is forward, backward and
update; prediction is for 10,000 images. All start from the same parameters and see the same batches. PyTorch uses its
own image layout, channels first. Without a number of threads in the title, each library uses what is fastest."""

ENTRIES = [Entry(name) for name in ("chainrule", "chainrule, NumPy", "PyTorch")]
THREADS = ("1 thread", "2 threads")


def _step(network: str, title: str, setting: str = "") -> Workload:
    return Workload(
        f"train-{network}{setting[:1]}", f"step of {title}, batch 128{setting and f', {setting}'}", "ms a step",
        ENTRIES, "train_images", {"network": network, "rows": 1280, "batch": 128, "epochs": 1},
        quick={"rows": 64, "batch": 32}, warm_up={"rows": 256}, per="steps", settings=(setting,) if setting else (),
    )  # fmt: skip


def _prediction(network: str, setting: str) -> Workload:
    return Workload(
        f"predict-{network}{setting[:1]}", f"10,000 images through the {network} network, {setting}", "ms", ENTRIES,
        "predict_images", {"network": network, "rows": 10_000}, quick={"rows": 64}, per="calls", settings=(setting,),
    )  # fmt: skip


WORKLOADS = [
    *(_step(network, f"the {network} network", setting) for network in ("deep", "flat") for setting in THREADS),
    *(_step(norm.lower(), f"784-256-256-256-10 with {norm}") for norm in ("BatchNorm", "LayerNorm")),
    *(_prediction(network, setting) for network in ("deep", "flat") for setting in THREADS),
]
