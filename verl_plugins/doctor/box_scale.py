"""The doctor on boxes: whether the reward scales them by the size of the image that the model sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from reward_fns import grounding
from reward_fns.boxes.spaces import SPACE_OF_MODEL, pixels_per_unit
from reward_fns.earnable import reward_of_row
from verl_plugins.components.prompts import RowPrompt
from verl_plugins.doctor.doctor_check import WARN
from verl_plugins.doctor.sampled_rows import Finding
from verl_plugins.preflight.reward import own_reward, reward_settings
from verl_plugins.preflight.reward_function import KEY


class BoxScale:
    """Compares the reward's ``box_space`` and limits of pixels with the model's family and processor.

    Args:
        config: the run's config.
        processor: of the model; None if it has none.
        model_type: Transformers' type of the model.
    """

    def __init__(self, config: DictConfig, processor: Any, model_type: str):
        self.reward, self.settings = own_reward(config), reward_settings(config)
        self.images: Any = getattr(processor, "image_processor", None)
        self.model_type = model_type
        self.limits: Mapping[str, Any] = config.data.get("mm_processor_kwargs") or {}

    def __call__(self, row: Mapping[str, Any], prompt: RowPrompt) -> Finding | None:
        """Return what is wrong with the boxes of a row; None if nothing is, or its reward reads no boxes."""
        grid = prompt.image_inputs.get("image_grid_thw")
        if self.reward is None or grid is None:
            return None
        try:
            name, own = reward_of_row(row["data_source"], self.reward, self.settings)
            if name != "grounding":
                return None
            settings, info = grounding.settings_of(**own), row.get("extra_info") or {}
            return self._compare(settings, info, grid[0].tolist())
        except (ValueError, KeyError):
            return None  # told of the gold

    def _compare(self, settings: Mapping[str, Any], info: Mapping[str, Any], grid: list[int]) -> Finding | None:
        """Compare with the first image, whose patches are in ``grid``: time, height, width."""
        space, expected = settings["box_space"], SPACE_OF_MODEL.get(self.model_type)
        height, width = (patches * self.images.patch_size for patches in grid[1:])
        factor = int(settings["patch_size"] or self.images.patch_size) * int(settings["merge_size"])
        if space == "processed":
            x, y = pixels_per_unit(space, info, factor, settings["min_pixels"], settings["max_pixels"])
            assumed = round(float(info["orig_w"]) / x), round(float(info["orig_h"]) / y)
            if assumed == (width, height):
                return None
            return Finding(
                "the reward takes boxes for those of an image of another size than the model sees",
                f"{assumed[0]} x {assumed[1]} in place of {width} x {height} pixels",
                f"set the processor's {self._processors_limits()} in {KEY}.reward_kwargs",
            )
        if expected in (None, space):
            return None
        if {expected, space} == {"processed", "pixels"} and _same_size(info, width, height):
            return None  # an image that keeps its size
        needs = " with patch_size, min_pixels and max_pixels" if expected == "processed" else ""
        return Finding(
            f"box_space is {space}, and {self.model_type} was trained to write boxes in {expected}",
            fix=f"set {KEY}.reward_kwargs.box_space={expected}{needs}, unless your model was trained otherwise",
            level=WARN,
        )

    def _processors_limits(self) -> str:
        size = getattr(self.images, "size", None) or {}
        least = self.limits.get("min_pixels", size.get("shortest_edge"))
        most = self.limits.get("max_pixels", size.get("longest_edge"))
        sizes = f"patch_size:{self.images.patch_size},merge_size:{self.images.merge_size}"
        return f"{sizes},min_pixels:{least},max_pixels:{most}"


def _same_size(info: Mapping[str, Any], width: int, height: int) -> bool:
    if not info.get("orig_w") or not info.get("orig_h"):
        return True  # not known
    return (float(info["orig_w"]), float(info["orig_h"])) == (width, height)
