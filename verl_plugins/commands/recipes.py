"""``verl-plugins recipes``: the recipes that the package brings, for those who have no checkout."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import verl_plugins


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="copy")
    copy = actions.add_parser("copy", help="copy all recipes, and what they source, into a folder")
    copy.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder; usually: recipes")


def run(arguments: argparse.Namespace) -> int:
    """List or copy the recipes; returns 0."""
    if arguments.action == "copy":
        copy_recipes(arguments.folder)
        print(f"{arguments.folder}: recipes, their README.md, and cluster/ for several machines. For example:")
        print(f"  DRY_RUN=1 {arguments.folder / recipe_names()[0]}    prints the config that it would train with")
        return 0
    width = max(map(len, recipe_names()))
    for name in recipe_names():
        print(f"{name:<{width}}  {summary(recipes_folder() / name)}")
    print("\nverl-plugins recipes copy DIR    copies them; any verl override can follow a recipe on its command line")
    return 0


def recipes_folder() -> Path:
    """Return the folder of the recipes: in the package if it was installed from a wheel, beside it in a checkout."""
    package = Path(verl_plugins.__file__).parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the scripts, sorted."""
    return sorted(path.name for path in recipes_folder().glob("run_*.sh"))


def summary(recipe: Path) -> str:
    """Return the line below a script's first, which says what it trains."""
    return recipe.read_text(encoding="utf-8").splitlines()[1].removeprefix("# ")


def copy_recipes(folder: Path) -> None:
    """Copy the recipes and all that they source, so that they run from there.

    Raises:
        SystemExit: ``folder`` is a file, or has something in it.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise SystemExit(
            f"verl-plugins recipes copy: got {folder}, which is there and not empty, expected a new or empty folder; "
            "name another"
        )
    shutil.copytree(recipes_folder(), folder, dirs_exist_ok=True)
