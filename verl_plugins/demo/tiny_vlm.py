"""A Qwen2.5-VL of two million random parameters, with tokenizer and processor, built without a download.

Architecture, file layout and special tokens are Qwen2.5-VL's, so verl, vLLM and transformers load it like the real
model. Three sizes are constrained: vLLM's CPU attention has no head_dim below 32; `mrope_section` must
sum to half of it; and `vocab_size` must equal the tokenizer's length, because vLLM masks the logits beyond it, and the
rollout's log-probabilities would then differ from the actor's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
)
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from data_prep.synthetic.scenes import SIDE
from verl_plugins.demo.tasks import Task

HIDDEN = 128
HEADS = 4
HEAD_DIM = HIDDEN // HEADS
PATCH, MERGE = 14, 2
INIT_STD = 0.09  # about 1 / sqrt(HIDDEN); with 0.02, which suits wide layers, learning takes far longer

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# Qwen2.5-VL's chat template without its default system message, which saves tokens.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content is string -%}{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' or 'image' in part or 'image_url' in part -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif part.type == 'video' or 'video' in part -%}
{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- elif 'text' in part -%}{{- part.text -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


def build_tiny_vlm(path: str | os.PathLike[str], task: Task, seed: int = 0) -> None:
    """Write a randomly initialised model with its processor, tokenizer and generation config into the folder `path`.

    The weights are float32 and the same for the same `seed`; torch's global random state is left as it was.
    """
    path = Path(path)
    processor = build_processor(task)
    config = build_config(processor.tokenizer)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(config).float()
    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
        do_sample=True,
    )
    model.save_pretrained(path)
    processor.save_pretrained(path)


def build_processor(task: Task) -> Qwen2_5_VLProcessor:
    """Build tokenizer, image processor and video processor; an image of SIDE x SIDE pixels keeps its size."""
    pixels = {"min_pixels": (PATCH * MERGE) ** 2, "max_pixels": (2 * SIDE) ** 2}
    vision: dict[str, Any] = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 2, **pixels}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**vision),
        tokenizer=train_tokenizer(task),
        video_processor=Qwen2VLVideoProcessor(**vision),
        chat_template=CHAT_TEMPLATE,
    )


def train_tokenizer(task: Task, vocab_size: int = 640) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE in which every word of the task's texts, and every number up to SIDE, is one token.

    Tags such as `<answer>` and numbers of up to three digits are split off before the merges are learnt. (Qwen's own
    tokenizer spells numbers digit by digit, which a model of this size learns more slowly.)
    """
    tokenizer = Tokenizer(models.BPE())
    words_numbers_signs = Regex(r"</?\p{L}+>|\p{N}{1,3}| ?\p{L}+\p{N}?|, | ?[^\s\p{L}\p{N}<]+|<|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words_numbers_signs, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(task.corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=4096,
    )


def build_config(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5_VLConfig:
    """Build the model's config, with the vocabulary size and the ids of the special tokens of `tokenizer`."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": 3 * HIDDEN,
        "num_hidden_layers": 4,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS // 2,
        "max_position_embeddings": 4096,
        "initializer_range": INIT_STD,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1000000.0,
            "mrope_section": [HEAD_DIM // 8, 3 * HEAD_DIM // 16, 3 * HEAD_DIM // 16],
        },
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    vision = {
        "depth": 4,
        "initializer_range": INIT_STD,
        "hidden_size": HIDDEN,
        "intermediate_size": 3 * HIDDEN,
        "num_heads": HEADS,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "window_size": 4 * PATCH * MERGE,
        "fullatt_block_indexes": [1, 3],
        "out_hidden_size": HIDDEN,
    }
    shared: dict[str, Any] = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
        "tie_word_embeddings": False,
        "initializer_range": INIT_STD,
        "dtype": "float32",
    }
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, **shared)
