"""Scripts whose config ``plan`` and ``doctor`` read: none is started that would train, whatever else it does."""

from pathlib import Path

import pytest

from verl_plugins.compose.dry_run import check_dry_run
from verl_plugins.compose.named_run import named_run

RECIPES = Path(__file__).parents[3] / "recipes"
TRAIN = "python3 -m verl.trainer.main_ppo +method=vepo"


@pytest.mark.parametrize(
    "text",
    [
        f"{TRAIN} a=1",
        f'# DRY_RUN=1 is not read here, nor "$@"\n{TRAIN}',
        f'say() {{ echo "$@"; }}\nsay start\n{TRAIN}',
        f'train() {{\n  {TRAIN} "$@"\n}}\ntrain a=1',
        f'{TRAIN} warm=1\n{TRAIN} "$@"',
        "bash other.sh a=1",
        "python3 train.py",
    ],
)
def test_a_script_that_would_train_is_not_started(tmp_path, text):
    (tmp_path / "other.sh").write_text(TRAIN)
    script = tmp_path / "train.sh"
    script.write_text(f"touch {tmp_path}/started\n{text}\n")
    with pytest.raises(ValueError, match="neither reads DRY_RUN nor passes its arguments on") as error:
        named_run([str(script), "a=1"])
    assert "-- python -m verl.trainer.main_ppo KEY=VALUE" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    "text",
    [
        f'{TRAIN} "$@"',
        f"{TRAIN} \\\n    a=1 \\\n    ${{@}}",
        f"{TRAIN} $*",
        f'{TRAIN} "${{@:2}}"',
        f'overrides=(a=1 "$@")\n{TRAIN} "${{overrides[@]}}"',
        f'train() {{\n  {TRAIN} "$@"\n}}\ntrain a=1 "$@"',
        f'if [[ "$DRY_RUN" == 1 ]]; then exit; fi\n{TRAIN}',
        'source "$(dirname "${BASH_SOURCE[0]}")/other.sh"\nlaunch a=1',
        'exec bash other.sh a=1 "$@"',
    ],
)
def test_a_script_that_passes_its_arguments_on_or_reads_dry_run_is_started(tmp_path, text):
    (tmp_path / "other.sh").write_text(f"launch() {{ [[ $DRY_RUN == 1 ]] || {TRAIN}; }}")
    script = tmp_path / "train.sh"
    script.write_text(text)
    check_dry_run(script)


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("run_*.sh")), ids=lambda path: path.stem)
def test_every_recipe_is_started(recipe):
    check_dry_run(recipe)


@pytest.mark.parametrize("output", ["a: b: c", "- a", "{", "", "a: ${b", "a: 1", "key: [1", "\\xff\\xfe"])
def test_output_that_is_no_config_is_one_line(tmp_path, output):
    script = tmp_path / "train.sh"
    script.write_text(f": DRY_RUN\nprintf '{output}'\necho 'first' >&2\necho 'no such module' >&2\n")
    with pytest.raises(ValueError, match=r"no config from DRY_RUN=1 \(its last line: no such module\)") as error:
        named_run([str(script)])
    assert "\n" not in str(error.value)
