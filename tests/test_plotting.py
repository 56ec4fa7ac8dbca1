"""The pictures: what they show, what they refuse, and that nothing global is touched."""

import io
import subprocess
import sys
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule import plotting
from chainrule.layers import Dense, ReLU, Tanh

CLASSES = ["cat", "dog", "owl"]


def history(*losses, **columns):
    rows = cr.History(("epoch", "loss", *columns))
    for i, loss in enumerate(losses):
        rows.append([i + 1, loss, *(values[i] for values in columns.values())])
    return rows


def png(figure):
    """Draw the figure, as a file would have it."""
    file = io.BytesIO()
    figure.savefig(file, dpi=40, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    return figure


def plane(outputs=2, loss="softmax_cross_entropy"):
    return cr.Network(2, [Dense(8), Tanh(), Dense(outputs)], loss, seed=0)


class TestHistory:
    def test_loss_and_metrics_have_a_panel_each(self):
        figure = png(plotting.plot_history(history(1.0, 0.5, val_loss=[1.1, 0.7], val_accuracy=[0.5, 0.8])))
        loss, accuracy = figure.axes
        assert [line.get_label() for line in loss.lines] == ["training", "validation"]
        np.testing.assert_array_equal(loss.lines[1].get_ydata(), [1.1, 0.7])
        np.testing.assert_array_equal(accuracy.lines[0].get_ydata(), [0.5, 0.8])

    def test_without_validation_there_is_one_panel(self):
        assert len(png(plotting.plot_history(history(1.0, 0.5))).axes) == 1

    def test_one_epoch_is_enough(self):
        png(plotting.plot_history(history(1.0, val_loss=[2.0], val_accuracy=[0.5])))

    @pytest.mark.few(1)
    @pytest.mark.parametrize(
        ("losses", "scale"), [((1.0, 0.5), "linear"), ((1.0, 0.01), "log"), ((1.0, 0.0), "linear")]
    )
    def test_a_loss_that_falls_far_is_on_a_logarithmic_axis(self, losses, scale):
        assert png(plotting.plot_history(history(*losses))).axes[0].get_yscale() == scale

    def test_negative_losses_are_not_cut_off(self):
        assert plotting.plot_history(history(1.0, -3.0)).axes[0].get_ylim()[0] <= -3

    def test_no_epoch_is_refused(self):
        with pytest.raises(ValueError, match="at least one epoch, got none"):
            plotting.plot_history(history())


class TestConfusion:
    def test_cells_are_counts_and_zeros_are_left_out(self):
        ax = png(plotting.plot_confusion([0, 0, 1, 2, 2], [0, 1, 1, 2, 2], CLASSES)).axes[0]
        cells = {tuple(map(int, text.get_position())): text.get_text() for text in ax.texts}
        assert cells == {(0, 0): "1", (1, 0): "1", (1, 1): "1", (2, 2): "2"}  # (predicted, true)
        assert [label.get_text() for label in ax.get_xticklabels()] == CLASSES

    def test_perfect_predictions_and_absent_classes_draw(self):
        assert "2 of 2" in png(plotting.plot_confusion([0, 1], [0, 1], CLASSES)).axes[0].get_title(loc="left")

    @pytest.mark.slow
    def test_many_classes_draw(self):
        t = np.arange(40)
        png(plotting.plot_confusion(t, t[::-1], [f"class number {i}" for i in t]))

    @pytest.mark.parametrize(
        ("t", "labels"), [([0, 3], [0, 1]), ([0, 1], [0, -1]), ([0], [0, 1]), ([], []), ([0.5], [1]), ([[0]], [[0]])]
    )
    def test_labels_that_do_not_fit_are_refused(self, t, labels):
        with pytest.raises(ValueError, match=r"expected .* got"):
            plotting.plot_confusion(t, labels, CLASSES)


class TestMistakes:
    X = np.random.default_rng(0).random((60, 6))

    def test_the_surest_come_first_and_right_rows_do_not_come(self):
        p = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.0, 0.3, 0.7]])
        figure = png(plotting.plot_mistakes(self.X[:3], [0, 1, 0], p, CLASSES, (2, 3)))
        assert [ax.get_title() for ax in figure.axes] == [
            "cat taken for owl\n70 % sure",
            "dog taken for cat\n60 % sure",
        ]
        np.testing.assert_allclose(figure.axes[0].images[0].get_array(), self.X[2].reshape(2, 3))

    @pytest.mark.slow
    def test_there_are_at_most_so_many(self):
        p = np.tile([1.0, 0.0, 0.0], (60, 1))
        labels = np.ones(60, int)
        assert len(png(plotting.plot_mistakes(self.X, labels, p, CLASSES, (2, 3))).axes) == 20
        assert len(png(plotting.plot_mistakes(self.X, labels, p, CLASSES, (2, 3), most=7)).axes) == 7

    def test_none_are_refused(self):
        with pytest.raises(ValueError, match="no mistakes"):
            plotting.plot_mistakes(self.X[:1], [0], [[0.8, 0.1, 0.1]], CLASSES, (2, 3))

    def test_shapes_that_do_not_fit_are_refused(self):
        with pytest.raises(ValueError, match=r"expected X and p of shapes \(1, 4\) and \(1, 3\), got \(1, 6\)"):
            plotting.plot_mistakes(self.X[:1], [0], [[0.8, 0.1, 0.1]], CLASSES, (2, 2))


class TestWeights:
    def test_every_unit_is_an_image_and_zero_is_white(self):
        network = cr.Network(6, [Dense(4), ReLU(), Dense(2)], "squared_error", seed=0)
        image = png(plotting.plot_weights(network, (2, 3))).axes[0].images[0]
        assert image.norm.vmin == -image.norm.vmax
        np.testing.assert_allclose(image.get_array()[:2, :3], network.layers[0].W[:, 0].reshape(2, 3))
        assert image.cmap(0.5)[:3] == pytest.approx((1, 1, 1), abs=0.05)

    def test_of_many_units_the_largest_are_shown(self):
        network = cr.Network(6, [Dense(10)], "squared_error", seed=0)
        network.layers[0].W[:, 7] = 100
        ax = png(plotting.plot_weights(network, (2, 3), most=4)).axes[0]
        assert (ax.images[0].get_array()[:2, :3] == 100).all()
        assert "the 4 largest units of 10" in ax.get_title(loc="left")

    def test_zero_weights_draw(self):
        png(plotting.plot_weights(cr.Network(6, [Dense(2, weights="zeros")], "squared_error"), (2, 3)))

    def test_layers_before_the_weights_are_passed_over(self):
        network = cr.Network(6, [cr.layers.Dropout(0.1), Dense(2)], "squared_error", seed=0)
        assert "layer 1" in png(plotting.plot_weights(network, (2, 3))).axes[0].get_title(loc="left")

    @pytest.mark.parametrize("layers", [[Dense(2)], [Tanh()]])
    def test_weights_that_are_not_of_images_are_refused(self, layers):
        with pytest.raises(ValueError, match=r"weights of shape \(9, units\) .* got"):
            plotting.plot_weights(cr.Network(6, layers, "squared_error"), (3, 3))


class TestBoundary:
    X = np.random.default_rng(0).normal(size=(30, 2))

    @pytest.mark.few(1)
    @pytest.mark.parametrize(
        ("outputs", "loss"), [(2, "softmax_cross_entropy"), (5, "softmax_cross_entropy"), (1, "sigmoid_cross_entropy")]
    )
    def test_every_point_is_drawn_once(self, outputs, loss):
        t = np.arange(30) % max(2, outputs)
        ax = png(plotting.plot_boundary(plane(outputs, loss), self.X, t)).axes[0]
        marks = [c for c in ax.collections if c.get_label().startswith(("class", "wrong"))]
        assert sum(len(c.get_offsets()) for c in marks) == 30

    def test_the_line_is_where_the_network_changes_its_mind(self):
        network = cr.Network(2, [Dense(2)], "softmax_cross_entropy", seed=0)
        network.layers[0].W[:] = [[-10.0, 10.0], [0.0, 0.0]]  # class 1 is where x > 0
        ax = png(plotting.plot_boundary(network, self.X, (self.X[:, 0] > 0).astype(int), ["left", "right"])).axes[0]
        line = np.concatenate([path.vertices for c in ax.collections for path in c.get_paths() if len(path) > 50])
        assert abs(line[:, 0]).max() < 0.05
        assert ax.get_title(loc="left") == "30 of 30 points right"

    def test_one_point_draws(self):
        png(plotting.plot_boundary(plane(), [[1.0, 1.0]], [0]))

    def test_other_inputs_are_refused(self):
        with pytest.raises(ValueError, match="a network of 2 inputs"):
            plotting.plot_boundary(cr.Network(3, [Dense(2)], "softmax_cross_entropy"), np.eye(3), [0, 1, 1])
        with pytest.raises(ValueError, match="from 0 to 1"):
            plotting.plot_boundary(plane(), [[1.0, 1.0]], [2])


@pytest.mark.slow
def test_nothing_global_is_touched():
    import matplotlib as mpl  # noqa: PLC0415

    before = dict(mpl.rcParams)
    png(plotting.plot_history(history(1.0, 0.5)))
    png(plotting.plot_boundary(plane(), TestBoundary.X, np.arange(30) % 2))
    assert dict(mpl.rcParams) == before
    code = (
        "import sys, chainrule as cr\n"
        "h = cr.History(('epoch', 'loss')); h.append([1, 1.0]); cr.plotting.plot_history(h)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_warnings_when_drawn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(plotting.plot_boundary(plane(3), TestBoundary.X * 1e-3, np.arange(30) % 3))


def test_every_public_function_is_documented_with_an_example():
    for name in plotting.__all__:
        assert ">>>" in getattr(plotting, name).__doc__
