"""Files are written beside their place and renamed: whole or not at all, with no link followed in a run's folder."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from chainrule.files.writing import refuse_link, remove_parts, replacing, write_atomically, writing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    """Ctrl-C and full disks: of every kind of interruption."""
    path = tmp_path / "p.csv"
    path.write_text("old")

    def write():
        with writing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["p.csv"]


def test_permissions_of_a_replaced_file_are_kept(tmp_path):
    path = tmp_path / "private.csv"
    path.write_text("old")
    path.chmod(0o600)
    write_atomically(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "new"


def test_two_at_once_do_not_disturb_each_other(tmp_path):
    path, start = tmp_path / "p.csv", threading.Barrier(2)

    def write(letter):
        for _ in range(20):
            start.wait()
            with writing(path) as file:
                for _ in range(50):
                    file.write(letter * 100)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in (b"a" * 5000, b"b" * 5000)
    assert names(tmp_path) == ["p.csv"]


def test_a_link_is_followed_only_where_the_user_names_it(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("precious")
    link.symlink_to(target)
    write_atomically(link, b"new", follow=False)
    assert target.read_text() == "precious"
    assert not link.is_symlink()
    assert link.read_text() == "new"
    link.unlink()
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert target.read_text() == "new"
    assert link.is_symlink()


def test_a_planted_part_is_never_written_through(tmp_path):
    """Names of parts cannot be foreseen; a file of such a name is not opened."""
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / ".p.csv.part").symlink_to(target)
    write_atomically(tmp_path / "p.csv", b"new")
    assert target.read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_what_is_not_a_regular_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"pipe is not a regular file .* choose another name"):
        write_atomically(tmp_path / "pipe", b"new")
    with pytest.raises(FileNotFoundError, match=r"does not exist\. Create it first"):
        write_atomically(tmp_path / "no" / "p.csv", b"new")


def test_a_place_that_takes_no_files_is_named_without_the_temporary_file(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/p\.csv: .*file takes no new files\. Choose another folder\.$"):
        write_atomically(tmp_path / "file" / "p.csv", b"new")

    def read_only(name, *_):
        raise OSError(errno.EROFS, "Read-only file system", str(name))

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(OSError, match=r"Read-only file system: '[^']*p\.csv'$"):
        write_atomically(tmp_path / "p.csv", b"new")


@pytest.mark.parametrize("said", [(errno.ENOSPC, "No space left on device"), ("No space (os error 28)",)])
def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path, said):
    """Of polars, with the number in the text."""
    with pytest.raises(OSError, match=r"No space left on device: '[^']*p\.csv'$"), writing(tmp_path / "p.csv"):
        raise OSError(*said)
    with (
        pytest.raises(OSError, match=rf"No space left on device: '{tmp_path / 'run' / 'model'}'$"),
        replacing(tmp_path / "run", ["model"], "model") as new,
        writing(new / "model"),
    ):
        raise OSError(*said)
    assert not any((tmp_path / "run").iterdir())


class TestReplacing:
    """A run is written whole, and then swapped for the one before it."""

    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("model", "report", "config", "mine"):
            (tmp_path / name).write_text(f"old {name}")
        return tmp_path

    def test_new_files_take_their_places_and_others_stay(self, folder):
        with replacing(folder, ["model", "report", "config"], "config") as new:
            (new / "model").write_text("new model")
            (new / "config").write_text("new config")
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            "model": "new model", "config": "new config", "mine": "old mine",
        }  # fmt: skip

    def test_a_failure_while_they_are_written_leaves_the_old_run(self, folder):
        def write():
            with replacing(folder, ["model", "report", "config"], "config") as new:
                (new / "model").write_text("new model")
                raise OSError("the disk is full")

        with pytest.raises(OSError, match="full"):
            write()
        assert names(folder) == ["config", "mine", "model", "report"]
        assert (folder / "model").read_text() == "old model"

    def test_during_the_swap_there_is_no_last_file(self, folder, monkeypatch):
        """Killed between two renames: what is there is not taken for a run."""
        rename = Path.replace

        def killed(self, target):
            if self.name == "report":
                raise KeyboardInterrupt
            return rename(self, target)

        monkeypatch.setattr(Path, "replace", killed)

        def write():
            with replacing(folder, ["model", "report", "config"], "config") as new:
                for name in ("config", "model", "report"):
                    (new / name).write_text(f"new {name}")

        with pytest.raises(KeyboardInterrupt):
            write()
        assert not (folder / "config").exists()

    def test_links_are_replaced_not_followed(self, folder, tmp_path_factory):
        target = tmp_path_factory.mktemp("elsewhere") / "target"
        target.write_text("precious")
        (folder / "report").unlink()
        (folder / "report").symlink_to(target)
        with replacing(folder, ["report", "config"], "config") as new:
            (new / "report").write_text("new")
            (new / "config").write_text("new")
        assert target.read_text() == "precious"
        assert not (folder / "report").is_symlink()

    def test_what_a_killed_process_left_is_removed(self, folder, tmp_path_factory):
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / "precious").write_text("precious")
        (folder / ".chainrule-0.part").mkdir()
        (folder / ".chainrule-0.part" / "half").write_text("half")
        (folder / ".chainrule-1.part").symlink_to(elsewhere)
        remove_parts(folder)
        assert names(folder) == ["config", "mine", "model", "report"]
        assert (elsewhere / "precious").exists()

    def test_a_folder_in_the_way_is_refused_before_anything_is_written(self, folder):
        (folder / "report").unlink()
        (folder / "report").mkdir()
        with pytest.raises(IsADirectoryError, match="choose another folder"), replacing(folder, ["report"], "config"):
            pytest.fail("nothing is written")


def test_a_link_in_a_run_is_refused_by_name(tmp_path):
    (tmp_path / "checkpoints").symlink_to(tmp_path)
    with pytest.raises(OSError, match=r"checkpoints is a link to .*: remove it"):
        refuse_link(tmp_path / "checkpoints")
    assert refuse_link(tmp_path) == tmp_path
