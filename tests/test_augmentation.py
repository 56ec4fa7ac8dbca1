"""Augmentation: what is drawn, what it costs, the same with either set of kernels, and training that goes on."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule._internal.names import public_classes
from chainrule.layers import Dense, Flatten, ReLU
from chainrule.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from chainrule.memo import Memo
from chainrule.training import augmentation, engine
from chainrule.training.augmentation import Augmentation, Augmented, Mixup, RandomShift
from chainrule.training.batches import Batch, Batches
from chainrule.training.callbacks import Callback

F32 = np.dtype("float32")
rng = np.random.default_rng(0)
IMAGES = rng.random((50, 4, 5, 1)).astype("float32")
ROWS = IMAGES.reshape(50, 20)
T = rng.integers(0, 3, 50)
WEIGHT = rng.uniform(0.5, 2, 50)
AUGMENTATIONS = {
    "RandomShift": RandomShift(1, shape=(4, 5)),
    "Mixup": Mixup(0.4),
}
combinations = pytest.mark.parametrize(
    "augment", [[AUGMENTATIONS["RandomShift"]], [AUGMENTATIONS["Mixup"]], [*AUGMENTATIONS.values()]], ids=repr
)


def network(loss="softmax_cross_entropy", outputs=3, **options):
    return cr.Network(20, [Dense(8), ReLU(), Dense(outputs)], loss, seed=1, **options)


def fit(augment, net=None, t=T, x=ROWS, **options):
    net = net or network()
    history = cr.train(net, x, t, augment=augment, **({"epochs": 3, "batch_size": 8, "seed": 2} | options))
    return net.theta.copy(), history


def test_every_public_augmentation_has_its_case_here():
    assert public_classes(augmentation, Augmentation).keys() == AUGMENTATIONS.keys()


# Shifts --------------------------------------------------------------------------------------------------------------


def shifted(image, a, b, fill):
    """Image (height, width, ...) moved by loops over its pixels."""
    height, width = image.shape[:2]
    moved = np.full_like(image, fill)
    for i in range(height):
        for j in range(width):
            if 0 <= i + a < height and 0 <= j + b < width:
                moved[i, j] = image[i + a, j + b]
    return moved


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    rows=st.integers(1, 9),
    shape=st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(1, 3)),
    dtype=st.sampled_from(["float32", "float64"]),
    fill=st.sampled_from([0.0, -1.5]),
    flat=st.booleans(),
    data=st.data(),
)
def test_every_image_is_shifted_by_itself_and_nothing_else_happens(rows, shape, dtype, fill, flat, data):
    pixels = data.draw(st.integers(1, min(shape[:2]) - 1))
    images = np.random.default_rng(rows).random((rows, *shape)).astype(dtype)
    x = images.reshape(rows, -1).copy() if flat else images.copy()
    given_shape = (shape if shape[2] > 1 else shape[:2]) if flat else None
    part, memo, t = RandomShift(pixels, shape=given_shape, fill=fill), Memo(), np.arange(rows)
    part.check(x.shape[1:], SquaredError())
    part.apply(Batch(x, t, None), np.random.default_rng(3), memo)
    np.testing.assert_array_equal(t, np.arange(rows))
    for image, moved in zip(images, x.reshape(images.shape), strict=True):
        steps = range(-pixels, pixels + 1)
        assert any(np.array_equal(moved, shifted(image, a, b, fill)) for a in steps for b in steps)
    short = images[: rows // 2 + 1].copy()  # a short batch uses the buffers of the large one
    part.apply(Batch(short if not flat else short.reshape(len(short), -1), t, None), np.random.default_rng(4), memo)
    for image, moved in zip(images, short, strict=False):
        assert any(np.array_equal(moved, shifted(image, a, b, fill)) for a in steps for b in steps)


def test_all_shifts_come_equally_often():
    x = np.zeros((50_000, 9, 9, 1), "float32")
    x[:, 4, 4] = 1
    RandomShift(2).apply(Batch(x, T, None), np.random.default_rng(0), Memo())
    counts = x.sum(axis=0)[2:7, 2:7, 0]
    assert counts.sum() == 50_000
    assert (np.abs(counts - 2000) < 5 * np.sqrt(2000)).all(), counts


# Mixup ---------------------------------------------------------------------------------------------------------------


def draws(alpha, rows, seed):
    """What a mixup draws: λ and the order."""
    generator = np.random.default_rng(seed)
    return generator.beta(alpha, alpha), generator.permutation(rows)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SoftmaxCrossEntropy(0.1), SigmoidCrossEntropy()], ids=repr)
def test_the_loss_is_the_mixture_of_both_losses(loss, weighted):
    """λ ℓ(y, t) + (1 − λ) ℓ(y, t of the other row), each with its row's weight, and so is the gradient."""
    n, share, other = 7, *draws(0.7, 7, 5)
    x, t = rng.normal(size=(n, 4)), rng.integers(0, 3, n)
    if isinstance(loss, SigmoidCrossEntropy):
        t = np.eye(3)[t]
    y, w = rng.normal(size=(n, 3)), rng.uniform(0.1, 2, n) if weighted else None
    changed = Augmented(
        [Mixup(0.7)], (4,), loss, 3 if t.ndim == 1 else 0, np.dtype("float64"), np.random.default_rng(5)
    )
    batch = changed(Batch(x.copy(), t.copy(), None if w is None else w.copy()))
    np.testing.assert_allclose(batch.x, share * x + (1 - share) * x[other], rtol=1e-12, atol=1e-15)
    ours = np.ones(n) if w is None else w
    both = np.concatenate([share * ours, (1 - share) * ours[other]])
    twice, targets = np.concatenate([y, y]), np.concatenate([t, t[other]])
    expected = loss.value(twice, targets, both)
    assert loss.value(y, batch.t, batch.weight) == pytest.approx(expected, rel=1e-12)
    gradient = loss.gradient(twice, targets, both)
    np.testing.assert_allclose(
        loss.gradient(y, batch.t, batch.weight), gradient[:n] + gradient[n:], rtol=1e-9, atol=1e-15
    )


def test_rows_without_weight_may_meet():
    weight = np.zeros(4)
    batch = Batch(np.ones((4, 2)), np.eye(4), weight)
    Mixup(1.0).apply(batch, np.random.default_rng(0), Memo())
    assert np.isfinite(batch.t).all()
    assert not batch.weight.any()


def test_shares_are_drawn_from_the_beta_distribution():
    part, generator, memo, shares = Mixup(0.3), np.random.default_rng(0), Memo(), []
    for _ in range(4000):
        x = np.array([[0.0], [1.0]])
        part.apply(Batch(x, np.eye(2), None), generator, memo)
        shares.append(x[0, 0])
    met = np.array([s for s in shares if 0 < s < 1])
    assert len(met) == pytest.approx(2000, abs=250), "half the orders leave two rows where they are"
    assert met.mean() == pytest.approx(0.5, abs=0.04)
    assert met.var() == pytest.approx(1 / (4 * (2 * 0.3 + 1)), rel=0.1)  # of Beta(α, α)


# In training ---------------------------------------------------------------------------------------------------------


@combinations
def test_the_data_are_not_changed_and_the_seed_decides(augment):
    kept = ROWS.copy()
    for shuffle in (True, False):
        first, again = fit(augment, shuffle=shuffle)[0], fit(augment, shuffle=shuffle)[0]
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - fit(augment, shuffle=shuffle, seed=7)[0]).max() > 1e-4
        assert np.abs(first - fit([], shuffle=shuffle)[0]).max() > 1e-4
    np.testing.assert_array_equal(ROWS, kept)


def test_augmentation_leaves_the_other_streams_as_they_are():
    """The same validation set and the same orders with and without."""

    class Nothing(Augmentation):
        def apply(self, batch, rng, memo):
            rng.random()

    expected, history = fit([], validation=0.3)
    theta, changed = fit([Nothing()], validation=0.3)
    np.testing.assert_allclose(theta, expected, rtol=1e-5, atol=1e-6)
    assert changed["val_loss"] == pytest.approx(history["val_loss"], rel=1e-5)


@pytest.mark.few(4)
@combinations
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_both_sets_of_kernels_see_the_same_batches(augment, weighted, dtype, monkeypatch):
    pytest.importorskip("numba")
    x = ROWS if dtype == "float32" else (255 * ROWS).astype("uint8")
    results = []
    for name in ("reference", "numba"):
        monkeypatch.setenv("CHAINRULE_KERNELS", name)
        assert engine.choose()[0] == name
        results.append(
            fit(augment, network(dtype="float64"), x=x, sample_weight=WEIGHT if weighted else None, validation=0.2)
        )
    (ours, history), (compiled, other) = results
    np.testing.assert_allclose(compiled, ours, rtol=1e-9, atol=1e-10)
    for column in ("loss", "val_loss"):
        assert history[column] == pytest.approx(other[column], rel=1e-9)


@pytest.mark.few(2)
@combinations
@pytest.mark.parametrize("kernel", ["reference", "numba"])
def test_training_that_goes_on_ends_bit_for_bit(augment, kernel, tmp_path, monkeypatch):
    if kernel == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("CHAINRULE_KERNELS", kernel)

    class Kill(Callback):
        def on_epoch(self, run):
            if run.epoch == 3:
                raise KeyError

    theta, history = fit(augment, epochs=5)
    with pytest.raises(KeyError):
        fit(augment, epochs=5, callbacks=[Kill(), cr.Checkpoint(tmp_path)])
    again, resumed = fit(augment, epochs=5, callbacks=[cr.Checkpoint(tmp_path)], resume=tmp_path)
    np.testing.assert_array_equal(again, theta)
    assert resumed["loss"] == history["loss"]
    for other in ([], [*augment, Mixup(0.9)]):
        with pytest.raises(cr.training.CheckpointError, match="a different run: augment: "):
            fit(other, epochs=6, resume=tmp_path)


def test_images_of_four_axes():
    net = cr.Network((4, 5, 1), [Flatten(), Dense(8), ReLU(), Dense(3)], "softmax_cross_entropy", seed=1)
    theta, _ = fit([RandomShift(1), Mixup(0.4)], net, x=IMAGES)
    same, _ = fit([RandomShift(1, shape=(4, 5)), Mixup(0.4)])
    np.testing.assert_allclose(theta, same, rtol=1e-4, atol=1e-5)


def test_steady_state_needs_no_memory_that_grows_with_the_epoch():
    X = np.zeros((4096, 784), "float32")
    changed = Augmented(
        [RandomShift(2, shape=(28, 28)), Mixup()], (784,), SoftmaxCrossEntropy(), 10, F32, np.random.default_rng(0)
    )
    batches = Batches(X, np.zeros(4096, int), None, None, 128, F32, np.random.default_rng(0), changed)
    batches.take(0)
    tracemalloc.start()
    try:
        for batch in range(len(batches)):
            batches.take(batch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.1 * 128 * 784 * 4 + 20_000, f"{peak:,} bytes: more than one shifted batch"


def test_shifts_help_where_the_image_may_stand_anywhere():
    """Learned from centred digits, tested on shifted ones: what the augmentation is for."""
    pytest.importorskip("sklearn")
    digits = cr.datasets.load_digits()
    X, t = digits.X.astype("float32"), digits.t
    moved = X[1400:].copy()
    RandomShift(1, shape=(8, 8)).apply(Batch(moved, t, None), np.random.default_rng(0), Memo())

    def accuracy(augment):
        net = cr.Network(64, [Dense(64), ReLU(), Dense(10)], "softmax_cross_entropy", seed=0)
        cr.train(net, X[:1400], t[:1400], augment=augment, optimizer=cr.optimizers.Adam(0.003), epochs=25, seed=0)
        return cr.evaluate(net, moved, t[1400:])["accuracy"]

    plain, shifted = accuracy([]), accuracy([RandomShift(1, shape=(8, 8))])
    assert shifted > plain + 0.15, f"{plain:.3f}, with shifts {shifted:.3f}"


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RandomShift(0), "RandomShift: pixels: expected a whole number of at least 1, got 0"),
        (lambda: RandomShift(2, shape=(28,)), r"RandomShift: shape: expected \(height, width\), got \(28,\)"),
        (lambda: RandomShift(2, shape=(28, 0)), "RandomShift: shape: expected a whole number of at least 1, got 0"),
        (lambda: Mixup(0.0), r"Mixup: alpha: expected a number in \(0, inf\), got 0"),
        (lambda: fit([RandomShift(2)]), r"expected images .* samples of shape \(20,\). Give the shape"),
        (lambda: fit([RandomShift(1, shape=(5, 5))]), r"samples of 25 numbers, but those of X have 20"),
        (lambda: fit([RandomShift(4, shape=(4, 5))]), "pixels: expected less than the 4 x 5 pixels of an image, got 4"),
        (
            lambda: fit([Mixup()], network("squared_error"), t=np.zeros((50, 3))),
            r"Mixup\(\): expected a loss that is linear in the targets, .* got SquaredError\(\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
