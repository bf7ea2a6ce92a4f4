"""A tool that returns a crop of the prompt's image, and a parser that calls it after the first turn of each response.

The demo's tiny model never writes a tool call; everything else of verl's tool agent loop runs as it does for others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from verl.experimental.agent_loop.tool_parser import FunctionCall, ToolParser
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import ToolResponse

SCHEMA = {
    "type": "function",
    "function": {
        "name": "crop",
        "description": "Cut a quarter out of the image.",
        "parameters": {"type": "object", "properties": {}, "required": []},
    },
}


class CropTool(BaseTool):
    """Returns the upper left quarter of the first image, and a line of text."""

    async def execute(self, instance_id: str, parameters: dict[str, Any], **kwargs) -> tuple[ToolResponse, float, dict]:
        image = kwargs["agent_data"].image_data[0]
        crop = image.crop((0, 0, image.width // 2, image.height // 2))
        return ToolResponse(image=[crop], text="a closer look"), 0.0, {}


@ToolParser.register("always_crop")
class AlwaysCrop(ToolParser):
    """Reads a call of the tool in every response; ``multi_turn.max_assistant_turns`` ends the loop."""

    async def extract_tool_calls(self, responses_ids: list[int], tools: Any = None) -> tuple[str, list[FunctionCall]]:
        return self.tokenizer.decode(responses_ids), [FunctionCall(name="crop", arguments="{}")]


def tool_overrides(folder: Path) -> list[str]:
    """Write the tool's config into ``folder``; returns the overrides of a run whose responses have two turns."""
    config = folder / "tools.json"  # JSON is YAML
    tool = {"class_name": f"{__name__}.{CropTool.__name__}", "config": {"type": "native"}, "tool_schema": SCHEMA}
    config.write_text(json.dumps({"tools": [tool]}))
    rollout, multi_turn = "actor_rollout_ref.rollout", "actor_rollout_ref.rollout.multi_turn"
    return [
        f"{rollout}.agent.default_agent_loop=tool_agent",
        f"{multi_turn}.enable=true",
        f"{multi_turn}.format=always_crop",
        f"{multi_turn}.max_assistant_turns=2",
        f"{multi_turn}.tool_config_path={config}",
        "data.max_response_length=96",
        f"+ray_kwargs.ray_init.runtime_env.env_vars.PYTHONPATH={Path(__file__).parent}",
    ]
