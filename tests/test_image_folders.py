"""A folder of images by class: read, trained on, predicted, and refused when broken."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from chainrule.cli.app import app
from chainrule.cli.config import read as read_config
from chainrule.datasets import images, read_images
from chainrule.layers import Conv2D

QUICK = ["--epochs", "12", "--layers", "16"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, unpainted):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stripes(upright, rng, size=12, channels=1):
    """Return the pixels of an image of stripes, which a person tells apart at once."""
    lines = (np.arange(size) + rng.integers(4)) // 2 % 2 * 150 + rng.integers(0, 60, size)
    image = np.broadcast_to(lines if upright else lines[:, None], (size, size)).astype("uint8")
    return image if channels == 1 else np.stack([image, image // 2, 255 - image], axis=2)


def pets(place, count=30, seed=0, **options):
    rng = np.random.default_rng(seed)
    for name in ("cat", "dog"):
        (Path(place) / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(stripes(name == "cat", rng, **options)).save(Path(place, name, f"{i:02}.png"))
    return place


def run(*arguments, status=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result


def refused(*arguments, match):
    result = run(*arguments, status=2)
    assert re.search(match, result.stderr), result.stderr
    assert not Path("runs").exists()


class TestReading:
    def test_gray(self):
        data = read_images(pets("pets", 5))
        assert repr(data) == "Dataset('images': 10 rows of 144 inputs (12 x 12 images), 2 classes)"
        assert (data.classes, data.t.tolist()) == (("cat", "dog"), [0] * 5 + [1] * 5)
        expected = np.asarray(Image.open("pets/dog/03.png"), np.float32) / 255
        assert np.array_equal(data.X[8].reshape(12, 12), expected)

    def test_color_and_size(self):
        data = read_images(pets("pets", 5, channels=3), size=6)
        assert data.X.shape == (10, 6 * 6 * 3)
        assert data.image_shape is None
        pets("gray", 5)
        Image.open("pets/cat/00.png").save("gray/cat/00.png")
        assert read_images("gray").X.shape == (10, 12 * 12 * 3)  # one of them has colors

    def test_modes(self):
        pets("pets", 5)
        Image.fromarray((np.arange(144).reshape(12, 12) * 400).astype("uint16")).save("pets/cat/00.png")
        Image.open("pets/cat/01.png").convert("LA").save("pets/cat/01.png")
        Image.open("pets/cat/02.png").convert("1").save("pets/cat/02.png")
        Image.open("pets/cat/03.png").save("pets/cat/03.JPG")
        Path("pets/cat/Thumbs.db").write_bytes(b"x")
        Path("pets/.hidden").mkdir()
        data = read_images("pets")
        assert data.X.shape == (11, 144)
        assert np.allclose(data.X[0], np.arange(144) * 400 / 65535, atol=1e-6)
        assert set(data.X[2]) <= {0.0, 1.0}

    def test_a_picture_on_its_side(self):
        for i in range(10):
            place = Path("pets", "ab"[i % 2])
            place.mkdir(parents=True, exist_ok=True)
            image = Image.new("L", (8, 6), color=20)
            image.putpixel((0, 0), 250)
            exif = Image.Exif()
            exif[0x0112] = 6 if i else 1
            image = image if i else image.transpose(Image.Transpose.ROTATE_270)
            image.save(place / f"{i}.png", exif=exif)
        data = read_images("pets")
        assert data.image_shape == (8, 6)
        assert np.array_equal(data.X[0], data.X[1])

    def test_refused(self, monkeypatch):
        pets("pets", 5)
        with pytest.raises(FileNotFoundError, match="no such folder: nowhere"):
            read_images("nowhere")
        with pytest.raises(
            ValueError, match=r"pets.cat: expected two or more folders of images, one per class, such as"
        ):
            read_images("pets/cat")
        Path("pets/dog/04.png").unlink()
        with pytest.raises(ValueError, match=r"pets.dog has 4 images: expected at least 5 of each class"):
            read_images("pets")
        Image.new("L", (9, 12)).save("pets/dog/04.png")
        with pytest.raises(ValueError, match=r"04.png has 9 x 12 pixels, but .*00.png has 12 x 12: .*--image-size 64"):
            read_images("pets")
        with pytest.raises(ValueError, match="--image-size: expected a number of pixels of 1 or more, got 0"):
            read_images("pets", 0)
        whole = Path("pets/dog/03.png").read_bytes()
        for content in (b"", b"hello", whole[:60]):
            Path("pets/dog/03.png").write_bytes(content)
            with pytest.raises(ValueError, match=r"03.png is corrupt: it cannot be read as"):
                read_images("pets", 12)
        Path("pets/dog/03.png").write_bytes(whole)
        with monkeypatch.context() as patch:
            patch.setattr(images, "LARGEST", 100)
            with pytest.raises(ValueError, match="has 12 x 12 pixels: expected at most 100"):
                read_images("pets", 12)
        with pytest.raises(ValueError, match=r"10 images of 9000 x 9000 pixels take 3.2 GB: give a smaller size"):
            read_images("pets", 9000)


@pytest.mark.slow
class TestCommands:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_train_evaluate_and_predict(self, channels):
        pets("pets", channels=channels)
        said = run("train", "pets", *QUICK).output
        assert "images: 42 training, 6 validation, 12 test rows" in said
        assert Path("runs/pets/confusion.png").is_file()
        config, network = read_config(Path("runs/pets"))
        assert sum(isinstance(layer, Conv2D) for layer in network.layers) == 2
        assert (config.classes, config.image_shape) == (("cat", "dog"), (12, 12) if channels == 1 else None)
        assert "of 12 held-out rows" in run("evaluate", "runs/pets").output
        pets("new", 8, seed=1, size=16, channels=channels)
        accuracy = re.search(r"accuracy ([\d.]+): \d+ of 16", run("evaluate", "runs/pets", "new").output)
        assert float(accuracy[1]) > 0.9
        rows = [*csv.DictReader(io.StringIO(run("predict", "runs/pets", "new").stdout))]
        assert [*rows[0]] == ["file", "label", "p_cat", "p_dog"]
        assert [row["file"] for row in rows] == [f"new/{name}/{i:02}.png" for name in ("cat", "dog") for i in range(8)]
        assert np.mean([row["label"] in row["file"] for row in rows]) == float(accuracy[1])
        assert len(run("predict", "runs/pets", "new/cat/00.png").stdout.splitlines()) == 2
        assert "Conv2D" in run("explain", "runs/pets", "--row", "1").stdout

    def test_the_size(self):
        pets("pets", 10)
        Image.new("L", (9, 12)).save("pets/dog/04.png")
        refused("train", "pets", *QUICK, match="give one size for all, as in --image-size 64")
        run("train", "pets", *QUICK, "--image-size", "6")
        arguments = json.loads(Path("runs/pets/config.json").read_text())["arguments"]
        assert {k: v for k, v in arguments.items() if k != "folder"} == {"height": 6, "width": 6, "channels": 1}
        assert not any(isinstance(layer, Conv2D) for layer in read_config(Path("runs/pets"))[1].layers)  # too small
        assert "of 4 held-out rows" in run("evaluate", "runs/pets").output

    def test_resume(self, monkeypatch):
        pets("pets", 10)
        with monkeypatch.context() as patch:
            patch.setattr("chainrule.cli.report.measure", power_cut)
            with pytest.raises(RuntimeError, match="power cut"):
                run("train", "pets", *QUICK, "--image-size", "12")
        pets("other", 10)
        again = ("--resume", "runs/pets")
        for words, match in (
            (("other",), "DATASET: .* was started with .*pets, got .*other"),
            (("pets", "--image-size", "6"), "--image-size: .* was started with 12, got 6"),
        ):
            assert re.search(match, run("train", *words, *again, status=2).stderr)
        run("train", "pets", *again)
        assert "of 4 held-out rows" in run("evaluate", "runs/pets").output

    def test_refused(self, here):
        pets("pets", 5)
        refused("train", "pets/cat", match="expected two or more folders of images, one per class")
        refused("train", "pets", "--target", "y", match="--target applies only to tables, and pets is not a table")
        refused("train", "pets", "--data", "x", match="--data: only mnist is read from another folder")
        refused("train", "images", match="images are read from a folder: give it in place of the word images")
        refused("train", "moons", "--image-size", "8", match="--image-size applies only to a folder of images")
        (here / "digits").mkdir()
        pets("digits", 5)
        assert "digits: 1,257 training" in run("train", "digits", "--epochs", "1", "--layers", "4").output

    def test_evaluated_with_other_folders(self):
        pets("pets", 10)
        run("train", "pets", *QUICK)
        Path("pets/dog").rename("pets/wolf")
        assert "class 'wolf', which training did not have" in run("evaluate", "runs/pets", "pets", status=2).stderr
        Path("pets/wolf").rename("dog")
        assert "10 held-out rows" in run("evaluate", "runs/pets", "pets").output  # only cats
        run("train", "moons", "--epochs", "1", "--out", "moons")
        assert "was trained on moons" in run("evaluate", "moons", "pets", status=2).stderr


def power_cut(*_, **__):
    raise RuntimeError("power cut")
