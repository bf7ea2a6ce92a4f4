"""Configs of the recipes' models, reduced to their sizes, so that a plan needs no download.

Source: ``config.json`` of each model on the Hugging Face Hub, read from its published copies. Those of Qwen3.5 give the
Hub's numbers of parameters to the last digit, 4,659,865,088 and 9,653,104,368, once the layer that predicts a second
token is added, which Transformers does not load.
"""

from __future__ import annotations

from typing import Any

_QWEN2_5_VISION = {
    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14,
    "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3,
}  # fmt: skip
_QWEN3_VISION = {"patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2, "num_heads": 16, "in_channels": 3}
_QWEN3_5_TEXT = {
    "num_hidden_layers": 32, "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 248320,
    "max_position_embeddings": 262144, "full_attention_interval": 4, "linear_num_key_heads": 16,
    "linear_num_value_heads": 32, "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4,
}  # fmt: skip

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "Qwen/Qwen2.5-VL-3B-Instruct": (
        "qwen2_5_vl",
        {
            "tie_word_embeddings": True,
            "text_config": {
                "hidden_size": 2048, "num_hidden_layers": 36, "intermediate_size": 11008, "num_attention_heads": 16,
                "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
                "max_position_embeddings": 128000,
            },
            "vision_config": {**_QWEN2_5_VISION, "out_hidden_size": 2048},
        },
    ),
    "Qwen/Qwen2.5-VL-7B-Instruct": (
        "qwen2_5_vl",
        {
            "tie_word_embeddings": False,
            "text_config": {
                "hidden_size": 3584, "num_hidden_layers": 28, "intermediate_size": 18944, "num_attention_heads": 28,
                "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": False,
                "max_position_embeddings": 128000,
            },
            "vision_config": {**_QWEN2_5_VISION, "out_hidden_size": 3584},
        },
    ),
    "Qwen/Qwen3-VL-4B-Instruct": (
        "qwen3_vl",
        {
            "tie_word_embeddings": True,
            "text_config": {
                "hidden_size": 2560, "num_hidden_layers": 36, "intermediate_size": 9728, "num_attention_heads": 32,
                "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True,
                "max_position_embeddings": 262144,
            },
            "vision_config": {
                **_QWEN3_VISION, "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "out_hidden_size": 2560,
                "deepstack_visual_indexes": [5, 11, 17],
            },
        },
    ),
    "Qwen/Qwen3-VL-8B-Instruct": (
        "qwen3_vl",
        {
            "tie_word_embeddings": False,
            "text_config": {
                "hidden_size": 4096, "num_hidden_layers": 36, "intermediate_size": 12288, "num_attention_heads": 32,
                "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": False,
                "max_position_embeddings": 262144,
            },
            "vision_config": {
                **_QWEN3_VISION, "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "out_hidden_size": 4096,
                "deepstack_visual_indexes": [8, 16, 24],
            },
        },
    ),
    "Qwen/Qwen3.5-4B": (
        "qwen3_5",
        {
            "tie_word_embeddings": True,
            "text_config": {
                **_QWEN3_5_TEXT, "hidden_size": 2560, "intermediate_size": 9216, "tie_word_embeddings": True,
            },
            "vision_config": {
                **_QWEN3_VISION, "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "out_hidden_size": 2560,
            },
        },
    ),
    "Qwen/Qwen3.5-9B": (
        "qwen3_5",
        {
            "tie_word_embeddings": False,
            "text_config": {
                **_QWEN3_5_TEXT, "hidden_size": 4096, "intermediate_size": 12288, "tie_word_embeddings": False,
            },
            "vision_config": {
                **_QWEN3_VISION, "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "out_hidden_size": 4096,
            },
        },
    ),
    "OpenGVLab/InternVL3-8B-hf": (
        "internvl",
        {
            "tie_word_embeddings": False,
            "image_seq_length": 256,
            "downsample_ratio": 0.5,
            "text_config": {
                "model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28, "intermediate_size": 18944,
                "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 151674, "tie_word_embeddings": False,
                "max_position_embeddings": 32768,
            },
            "vision_config": {
                "model_type": "internvl_vision", "hidden_size": 1024, "num_hidden_layers": 24,
                "num_attention_heads": 16, "intermediate_size": 4096, "patch_size": [14, 14], "image_size": [448, 448],
            },
        },
    ),
}  # fmt: skip
