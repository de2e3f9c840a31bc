"""``scopedtools index``: build, describe and check saved indexes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from scopedtools.catalog.catalog import Catalog
from scopedtools.cli.target import TargetError, load_server
from scopedtools.retrieval import Index, known_vectors
from scopedtools.retrieval import manifest as manifests
from scopedtools.retrieval import verify as problems_of
from scopedtools.retrieval.recipe import Recipe
from scopedtools.types import Describable, Encoder

index = typer.Typer(help="Build, describe and check saved indexes.", no_args_is_help=True)

_RECIPE: Final = "recipe.toml"

_Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A folder with a recipe.toml or an index, a server as module:attribute, or a tools.jsonl[.gz].",
    ),
]
_Out = Annotated[Path | None, typer.Option(help="Folder of the index, where TARGET does not tell.")]


class _Job(NamedTuple):
    """What an index is of, and where it is kept."""

    folder: Path
    recipe: Recipe

    def rows(self) -> Sequence[Describable]:
        if self.recipe.app is not None:
            return load_server(self.recipe.app).catalog.rows
        self.recipe.check_catalog()
        return Catalog.from_jsonl(self.recipe.catalog).rows


@index.command()
def build(target: _Target, out: _Out = None) -> None:
    """Encode every row of a catalog and save the index; texts that have not changed are not encoded again."""
    job = _job(target, out)
    rows = job.rows()
    encoder = job.recipe.encoder.make()
    encoder.load()
    words = Index.build(rows, None)
    built = _encode(words, job.folder, encoder)
    manifest = built.save(job.folder, command=shlex.join(["scopedtools", *sys.argv[1:]]))
    Console().print(
        f"{job.folder}: {manifest.rows} rows, {manifest.vectors} vectors by {manifest.encoder}",
        highlight=False,
    )


@index.command()
def info(target: _Target, out: _Out = None) -> None:
    """Print what a saved index was built from, with and by what."""
    folder = _job(target, out).folder
    with _existing(folder):
        manifest = manifests.read(folder)
    table = Table(box=None, show_header=False, title=str(folder), title_justify="left")
    for field in manifest.__struct_fields__:
        table.add_row(field, _told(getattr(manifest, field), folder))
    Console().print(table)


@index.command()
def verify(target: _Target, out: _Out = None) -> None:
    """Check the files of a saved index, and that it is of this catalog; exit with status 1 if not."""
    job = _job(target, out)
    with _existing(job.folder):
        problems = problems_of(job.folder)
        if not problems and (job.recipe.catalog or job.recipe.app):
            Index.load(job.folder, rows=job.rows(), encoder=job.recipe.encoder.make())
    for problem in problems:
        Console(stderr=True).print(problem)
    if problems:
        raise typer.Exit(1)
    Console().print(f"{job.folder}: sound")


def _job(target: str, out: Path | None) -> _Job:
    folder = Path(target)
    if folder.name == _RECIPE:
        folder = folder.parent
    if (folder / _RECIPE).is_file():
        return _Job(out or folder, Recipe.read(folder / _RECIPE))
    if (folder / manifests.NAME).is_file():
        return _Job(folder, Recipe(catalog=""))
    if target.endswith((".jsonl", ".jsonl.gz")):
        return _Job(out or Path("indexes", folder.name.partition(".")[0]), Recipe(catalog=target))
    if ":" in target:
        server = load_server(target)
        return _Job(out or server.index_dir or Path("indexes", server.name), Recipe(catalog=target))
    raise TargetError(f"{target!r} is no recipe, index, tools.jsonl[.gz] or module:attribute")


def _told(value: object, folder: Path) -> str:
    if isinstance(value, manifests.SavedWords | manifests.SavedPlain):
        value = value.file
    if not isinstance(value, manifests.SavedFile):
        return "" if value is None else str(value)
    path = folder / value.name
    return f"{value.name} ({f'{path.stat().st_size:,} bytes' if path.is_file() else 'missing'})"


def _encode(words: Index, folder: Path, encoder: Encoder) -> Index:
    known = known_vectors(folder, encoder)
    columns = (TextColumn("encoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("encoding", total=None)
        return words.with_vectors(
            encoder, known=known, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


@contextmanager
def _existing(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise TargetError(f"{folder} holds no index; make one with scopedtools index build") from error
