import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scopedtools.exceptions import IndexMismatchError
from scopedtools.retrieval import manifest as manifests
from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.retrieval.index import Index
from scopedtools.retrieval.saved import known_vectors, verify
from tests.retrieval.rows import ALL, SHOP, CountingEncoder, Row


def saved(folder: Path) -> Path:
    Index.build(SHOP, HashingEncoder()).save(folder, command="pytest")
    return folder


def change(folder: Path, **fields: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def test_each_distinct_text_is_encoded_once() -> None:
    encoder = CountingEncoder()
    told: list[tuple[int, int]] = []
    index = Index.build(
        [Row("a", "Same.", examples=("x y",)), Row("a", "Same.", examples=("x y", "z"))],
        encoder,
        progress=lambda *done: told.append(done),
    )

    assert encoder.documents == ["a: Same.", "x y", "z"]
    assert told == [(3, 3)]
    assert index.local is not None
    assert len(index.local) == 5


def test_a_loaded_index_answers_as_the_saved_one(tmp_path: Path) -> None:
    built = Index.build(SHOP, HashingEncoder())
    loaded = Index.load(saved(tmp_path), rows=SHOP, encoder=HashingEncoder())
    query = HashingEncoder().encode_queries(["an email to a friend"])[0]

    assert built.local is not None
    assert loaded.local is not None
    assert [a.tolist() for a in loaded.local.search(query, ALL, 6)] == [
        a.tolist() for a in built.local.search(query, ALL, 6)
    ]
    assert loaded.catalog == built.catalog


def test_the_manifest_says_what_the_index_was_built_from(tmp_path: Path) -> None:
    manifest = json.loads((saved(tmp_path) / "manifest.json").read_text())

    assert manifest["rows"] == len(SHOP)
    assert manifest["vectors"] == 9
    assert (manifest["dimensions"], manifest["dtype"], manifest["metric"], manifest["factory"]) == (
        256,
        "float32",
        "ip",
        "Flat",
    )
    assert (manifest["encoder"], manifest["revision"]) == ("hashing", "1-256")
    assert set(manifest["versions"]) == {"scopedtools", "faiss-cpu", "numpy"}
    assert manifest["command"] == "pytest"
    lines = (tmp_path / manifest["rows_file"]["name"]).read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == [row.name for row in SHOP]
    assert verify(tmp_path) == []


def test_a_folder_without_an_index_is_no_mismatch(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Index.load(tmp_path, rows=SHOP, encoder=HashingEncoder())


@pytest.mark.parametrize(
    ("rows", "encoder", "message"),
    [
        (SHOP[:-1], HashingEncoder(), r"built from catalog \w+ \(5 rows\), got \w+ \(6 rows\); rebuild it"),
        ((*SHOP[1:], SHOP[0]), HashingEncoder(), "built from catalog"),
        ((*SHOP[:-1], replace(SHOP[-1], description="Other.")), HashingEncoder(), "built from catalog"),
        (
            (*SHOP[:-1], replace(SHOP[-1], examples=("ten dollars in euros",))),
            HashingEncoder(),
            "built from catalog",
        ),
        (SHOP, HashingEncoder(128), "built with hashing 1-128, got hashing 1-256; rebuild it"),
    ],
    ids=["fewer rows", "other order", "other text", "other examples", "other encoder"],
)
def test_an_index_of_something_else_is_refused(
    tmp_path: Path, rows: tuple[Row, ...], encoder: HashingEncoder, message: str
) -> None:
    with pytest.raises(IndexMismatchError, match=message):
        Index.load(saved(tmp_path), rows=rows, encoder=encoder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: flip_a_byte(next(folder.glob("*.faiss"))), "must have SHA-256"),
        (lambda folder: flip_a_byte(next(folder.glob("*.jsonl"))), "must have SHA-256"),
        (lambda folder: next(folder.glob("*.faiss")).unlink(), "got no file"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "got a damaged one"),
        (lambda folder: (folder / "manifest.json").write_text('{"format": 1}'), "got a damaged one"),
        (lambda folder: change(folder, format=3), "must have format 1, got 3"),
    ],
    ids=["vectors", "rows", "no vectors", "not JSON", "fields missing", "format"],
)
def test_a_damaged_index_is_refused(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(saved(tmp_path))

    with pytest.raises(IndexMismatchError, match=message):
        Index.load(tmp_path, rows=SHOP, encoder=HashingEncoder())
    assert known_vectors(tmp_path, HashingEncoder()) == {}


def test_verify_names_the_changed_file(tmp_path: Path) -> None:
    path = next(saved(tmp_path).glob("*.faiss"))
    flip_a_byte(path)

    (problem,) = verify(tmp_path)
    assert str(path) in problem


@pytest.mark.parametrize("step", range(9))
def test_a_save_that_fails_midway_leaves_the_old_index(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path)
    calls = iter(range(100))
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def failing(*args: object, real: Callable[..., object] = real, **kwargs: object) -> object:
            if next(calls) == step:
                raise OSError("no space left on device")
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, failing)
    with pytest.raises(OSError, match="no space left"):
        Index.build(SHOP[:3], HashingEncoder()).save(tmp_path)
    monkeypatch.undo()

    Index.load(tmp_path, rows=SHOP, encoder=HashingEncoder())
    assert not list(tmp_path.glob(".saving-*"))


def test_a_process_killed_while_saving_leaves_the_old_index(tmp_path: Path) -> None:
    saved(tmp_path)
    code = (
        "import os, pathlib, signal, sys;"
        "from tests.retrieval.rows import SHOP;"
        "from scopedtools.retrieval import HashingEncoder, Index, manifest;"
        "manifest.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        "Index.build(SHOP[:3], HashingEncoder()).save(pathlib.Path(sys.argv[1]))"
    )
    died = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2], check=False
    )

    assert died.returncode == -signal.SIGKILL
    Index.load(tmp_path, rows=SHOP, encoder=HashingEncoder())


def test_what_a_process_left_that_was_killed_is_removed_by_the_next_save(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys;"
        "from tests.retrieval.rows import SHOP;"
        "from scopedtools.retrieval import HashingEncoder, Index, manifest;"
        "manifest.sync = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        "Index.build(SHOP[:3], HashingEncoder()).save(pathlib.Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    assert list(tmp_path.glob(".saving-*"))

    saved(tmp_path)
    assert not list(tmp_path.glob(".saving-*"))


def test_what_is_added_to_an_index_never_takes_a_newer_one_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Index.load(saved(tmp_path), rows=SHOP, encoder=HashingEncoder())
    change(tmp_path, words=None)
    new = Index.build(SHOP[:3], HashingEncoder())
    reached, saving = threading.Event(), threading.Event()
    read = manifests.read

    def slowly(folder: Path) -> manifests.Manifest:
        found = read(folder)
        reached.set()
        saving.wait(0.5)  # until the other waits; in vain where nobody does
        return found

    def replace_it() -> None:
        reached.wait()
        new.save(tmp_path)
        saving.set()

    monkeypatch.setattr(manifests, "read", slowly)
    other = threading.Thread(target=replace_it)
    other.start()
    old.renew(tmp_path)
    other.join()
    monkeypatch.undo()

    Index.load(tmp_path, rows=SHOP[:3], encoder=HashingEncoder())


def test_saving_again_removes_the_old_files_and_leaves_others_alone(tmp_path: Path) -> None:
    (saved(tmp_path) / "recipe.toml").write_text("catalog = 'tools.jsonl'")
    Index.build(SHOP[:3], HashingEncoder()).save(tmp_path)

    suffixes = ["", ".faiss", ".json", ".jsonl", ".safetensors", ".toml"]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == suffixes
    assert (tmp_path / "recipe.toml").exists()
    Index.load(tmp_path, rows=SHOP[:3], encoder=HashingEncoder())


def test_an_index_that_is_mapped_survives_the_next_save(tmp_path: Path) -> None:
    old = Index.load(saved(tmp_path), rows=SHOP, encoder=HashingEncoder())
    Index.build(SHOP[:3], HashingEncoder()).save(tmp_path)
    query = HashingEncoder().encode_queries(["weather in a city"])[0]

    assert old.local is not None
    assert old.local.search(query, ALL, 1)[0].tolist() == [4]


def test_saving_the_same_index_twice_changes_only_the_date(tmp_path: Path) -> None:
    first = Index.build(SHOP, HashingEncoder()).save(tmp_path)
    second = Index.build(SHOP, HashingEncoder()).save(tmp_path)

    assert (first.files, first.words, first.catalog) == (second.files, second.words, second.catalog)
    assert verify(tmp_path) == []


def test_only_changed_texts_are_encoded_again(tmp_path: Path) -> None:
    saved(tmp_path)
    encoder = CountingEncoder(256)
    rows = (Row("new_tool", "Something else."), *reversed(SHOP))
    index = Index.build(rows, None).with_vectors(encoder, known=known_vectors(tmp_path, encoder))

    assert encoder.documents == ["new tool: Something else."]
    assert index.local is not None
    fresh = Index.build(rows, HashingEncoder())
    assert fresh.local is not None
    assert index.local.vectors.tobytes() == fresh.local.vectors.tobytes()


def test_vectors_of_another_encoder_are_not_known(tmp_path: Path) -> None:
    assert known_vectors(saved(tmp_path), HashingEncoder(128)) == {}


def test_words_alone_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="build it with an encoder"):
        Index.build(SHOP, None).save(tmp_path)


def test_an_empty_catalog_can_be_indexed() -> None:
    index = Index.build([], HashingEncoder())

    assert list(index.rows) == []
    assert index.vectors is None
