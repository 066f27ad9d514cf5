"""Every recipe of docs/recipes.md compiles, gives what the page says, and is refused where the page says so."""

from __future__ import annotations

import re

import pytest

from schemas.errors import InvalidInput
from tests.recipes import ddl
from tests.recipes.outcome import columns_of, compiled, evaluated, expected, outcome
from tests.recipes.page import PAGE, Recipe, recipes

RECIPES = recipes()
SCHEMAS = {"sqlserver": "dbo", "oracle": "ERP"}


@pytest.fixture(params=RECIPES, ids=str)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return request.param  # type: ignore[no-any-return]


def test_a_recipe_gives_what_the_page_says(recipe: Recipe) -> None:
    catalogue = ddl.catalogue(recipe.kind, SCHEMAS.get(recipe.kind, "erp"), recipe.tables)
    mapping = compiled(recipe, catalogue)
    found = evaluated(recipe, mapping)
    errors = (
        [row["exception"] or "" for row in recipe.outputs["exceptions"].rows] if "exceptions" in recipe.outputs else []
    )
    assert len(found.errors) == len(errors), found.errors
    assert all(any(text in told for told in found.errors) for text in errors), found.errors
    wanted = {file: grid for file, grid in recipe.outputs.items() if file != "exceptions"}
    for file, grid in wanted.items():
        assert file == "waiting" or grid.columns == columns_of(mapping, file), file
    assert outcome(mapping, found) == {file: expected(file, grid) for file, grid in wanted.items()}


def test_what_is_refused_is_told_as_the_page_says(recipe: Recipe) -> None:
    catalogue = ddl.catalogue(recipe.kind, SCHEMAS.get(recipe.kind, "erp"), recipe.tables)
    for file, text, told in recipe.refused:
        with pytest.raises(InvalidInput) as error:
            compiled(recipe, catalogue, {file: text})
        assert re.sub(r"\s+", " ", str(error.value)) == re.sub(r"\s+", " ", told.strip())


def test_the_list_at_the_top_names_every_recipe() -> None:
    text = PAGE.read_text()
    titles = re.findall(r"^### (.+)$", text, re.MULTILINE)
    listed = re.findall(r"\]\(#([^)]+)\)", text.partition("\n## ")[0])
    assert listed == [anchor(title) for title in titles]


def anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
