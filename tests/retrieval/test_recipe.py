import hashlib
from pathlib import Path

import pytest

from scopedtools.exceptions import CatalogError, DefinitionError, IndexMismatchError
from scopedtools.retrieval.recipe import Recipe
from scopedtools.retrieval.weights import DEFAULT_MODEL


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_a_recipe_has_defaults_for_all_but_the_catalog(tmp_path: Path) -> None:
    recipe = Recipe.read(written(tmp_path, 'catalog = "tools.jsonl"'))

    assert recipe.catalog_path == tmp_path / "tools.jsonl"
    assert recipe.app is None
    assert (recipe.encoder.model, recipe.metric, recipe.factory) == (DEFAULT_MODEL, "ip", "Flat")


def test_a_catalog_may_be_an_app(tmp_path: Path) -> None:
    recipe = Recipe.read(written(tmp_path, 'catalog = "bookshop.server:app"'))

    assert recipe.app == "bookshop.server:app"
    assert recipe.catalog_path is None


def test_a_catalog_may_lie_in_the_folder_of_the_data_sets(tmp_path: Path) -> None:
    path = written(tmp_path, 'catalog = "${SCOPEDTOOLS_DATA}/bfcl/tools.jsonl.gz"')

    assert Recipe.read(path, environ={"SCOPEDTOOLS_DATA": "/data"}).catalog_path == Path(
        "/data/bfcl/tools.jsonl.gz"
    )
    assert Recipe.read(path, environ={}).catalog_path == Path("../shared/data/bfcl/tools.jsonl.gz").resolve()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("catalog = ", "must be a recipe, got"),
        ("", "missing required field `catalog`"),
        ('catalog = "a.jsonl"\nfactroy = "Flat"', "unknown field `factroy`"),
        ('catalog = "a.jsonl"\nfactory = "HNSW32"', 'factory in .* must be "Flat", got "HNSW32"'),
        ('catalog = "a.jsonl"\nmetric = "l2"', 'metric in .* must be "ip", got "l2"'),
        ('catalog = "a.jsonl"\n[encoder]\nmodel = 3', "Expected `str`, got `int`"),
        ('catalog = "${HOME}/a.jsonl"', r"may use SCOPEDTOOLS_DATA, got \$\{HOME\}"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Recipe.read(written(tmp_path, text), environ={})


def test_the_catalog_must_have_the_hash_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "tools.jsonl").write_bytes(b"{}")
    right = hashlib.sha256(b"{}").hexdigest()
    Recipe.read(written(tmp_path, f'catalog = "tools.jsonl"\nsha256 = "{right}"')).check_catalog()

    with pytest.raises(CatalogError, match="must have SHA-256 00, got"):
        Recipe.read(written(tmp_path, 'catalog = "tools.jsonl"\nsha256 = "00"')).check_catalog()
    with pytest.raises(CatalogError, match="cannot be read"):
        Recipe.read(written(tmp_path, 'catalog = "none.jsonl"\nsha256 = "00"')).check_catalog()


def test_the_encoder_must_have_the_revision_of_the_recipe(tmp_path: Path) -> None:
    text = 'catalog = "tools.jsonl"\n[encoder]\nmodel = "hashing"\n'

    assert Recipe.read(written(tmp_path, text)).encoder.make().name == "hashing"
    with pytest.raises(IndexMismatchError, match="must have revision 7, got 1-256"):
        Recipe.read(written(tmp_path, f'{text}revision = "7"')).encoder.make()
