"""``docs/support.md`` says what the preflight says, of every setting and method."""

from pathlib import Path

import pytest

from verl_plugins.commands.support import SETTINGS, refusals, table
from verl_plugins.methods import METHODS

PAGE = Path(__file__).parents[3] / "docs" / "support.md"


@pytest.mark.slow
def test_the_page_holds_the_table_of_the_methods():
    assert table(["ecvgpo", "vepo", "vppo", "saei", "noisyrollout"]) in PAGE.read_text(), (
        "write docs/support.md anew: verl-plugins support"
    )


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_refusal_is_one_line_that_names_the_key(setting):
    for method, problems in refusals(setting, list(METHODS)).items():
        assert len(problems) <= 1, (method, problems)
        for problem in problems:
            assert "expected" in problem and "; set " in problem
