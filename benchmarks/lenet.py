"""LeNet-5, with the same number of threads for every library."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """LeNet-5 on images of 28 x 28 pixels: two 5 x 5 convolutions (6, 16 filters) with ReLU and max pooling, Dense
120, 84 and 10; softmax cross-entropy, Adam, float32. The time of an epoch of 8,192 images, divided by their number.
Each process has one core, or two, and as many threads. All start from the same parameters and see the same batches.
PyTorch uses its own image layout, channels first; torch.compile and JAX compile a whole step, Keras is fit."""

ENTRIES = [Entry(x) for x in ("chainrule", "chainrule, NumPy", "PyTorch", "torch.compile", "JAX", "Keras")]
WORKLOADS = [
    Workload(
        f"lenet-{batch}-{setting[:1]}", f"LeNet-5, batch {batch:,}, {setting}", "µs an image", ENTRIES, "train_images",
        {"network": "lenet", "rows": 8192, "batch": batch, "epochs": 1}, quick={"rows": 64, "batch": 32},
        per="images", settings=(setting,),
    )
    for setting in ("1 thread", "2 threads")
    for batch in (128, 2048)
]  # fmt: skip
