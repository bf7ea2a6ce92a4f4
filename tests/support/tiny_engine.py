"""The engine around the demo's tiny model, untrained, and rows with random responses."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise

import torch
from bare_engine import Row, bare_engine, worker_batch
from PIL import Image
from torch.nn.functional import scaled_dot_product_attention
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl
from verl.models.transformers import monkey_patch, qwen2_vl

from data_prep.synthetic.shapes import make_row
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_config, build_processor


def build_engine(sharpness=20):
    processor = build_processor(TASKS["grounding"])
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(build_config(processor.tokenizer)).float().eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(sharpness)  # a random model hardly looks at its image
    return bare_engine(model, processor, micro_batch_size=3)


def pack_as_verl_does(monkeypatch):
    """Make the model run verl's own forward of packed rows, with flash-attn's kernel written out."""
    monkeypatch.setattr(modeling_qwen2_5_vl.Qwen2_5_VLModel, "forward", qwen2_vl.qwen2_vl_base_forward)
    whole = modeling_qwen2_5_vl.Qwen2_5_VLForConditionalGeneration
    monkeypatch.setattr(whole, "forward", qwen2_vl.forward_with_normal_backend)
    monkeypatch.setattr(modeling_qwen2_5_vl.Qwen2_5_VLAttention, "forward", qwen2_vl.qwen2_vl_attn_forward)
    replace_flash_attention(monkeypatch)


def replace_flash_attention(monkeypatch):
    """Write out flash-attn's kernel for verl's attention: Qwen2.5-VL's of packed rows, and that of other families."""
    monkeypatch.setattr(qwen2_vl, "flash_attn_varlen_func", _attend_within_rows, raising=False)
    monkeypatch.setattr(qwen2_vl, "_flash_attention_forward", _attend_within_one_row)
    monkeypatch.setattr(monkey_patch, "_flash_attention_forward", _attend_by_positions)
    monkeypatch.setattr(qwen2_vl, "fa_peft_integration_check", lambda *qkv, **_: qkv)  # the kernel's cast to bfloat16
    for name in ("_flash_supports_window_size", "_flash_supports_deterministic", "_flash_use_top_left_mask"):
        monkeypatch.setattr(qwen2_vl, name, False, raising=False)


def _attend_within_rows(q, k, v, cu_seqlens_q, causal, **_):
    """(total tokens, heads, head size) each."""
    rows = [
        scaled_dot_product_attention(*(part[start:end].transpose(0, 1) for part in (q, k, v)), is_causal=causal)
        for start, end in pairwise(cu_seqlens_q.tolist())
    ]
    return torch.cat([row.transpose(0, 1) for row in rows])


def _attend_within_one_row(q, k, v, *_, is_causal, **__):
    """(1, tokens, heads, head size) each."""
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return scaled_dot_product_attention(q, k, v, is_causal=is_causal).transpose(1, 2)


def _attend_by_positions(q, k, v, *_, is_causal, position_ids=None, cu_seq_lens_q=None, **__):
    """(1, tokens, heads, head size) each; a row begins where its positions (1, tokens) do."""
    if cu_seq_lens_q is None:  # the language model
        starts = (position_ids.flatten() == 0).nonzero().flatten()
        cu_seq_lens_q = torch.cat([starts, torch.tensor([position_ids.numel()])])
    k, v = (part.repeat_interleave(q.shape[2] // part.shape[2], dim=2) for part in (k, v))
    return _attend_within_rows(q[0], k[0], v[0], cu_seq_lens_q, is_causal)[None]


def micro_batch(processor, with_image, lengths, temperature=1.0, index=lambda number: number // 2):
    """Two responses to each prompt, as verl's workers get them, and the same rows one by one."""
    generator = torch.Generator().manual_seed(1)
    responses = [torch.randint(10, 200, (length,), generator=generator) for length in lengths]
    rows = [
        Row(
            f"prompt{number // 2}",
            index(number),
            number % 2,
            "the red square",
            [image(number // 2)] * seen,
            ids,
        )
        for number, (seen, ids) in enumerate(zip(with_image, responses, strict=True))
    ]
    data = worker_batch(rows, processor, temperature)
    parts = zip(data["input_ids"].unbind(), data["response_mask"].unbind(), strict=True)
    single = [(ids, torch.arange(len(ids)).expand(4, -1), mask) for ids, mask in parts]
    return data, single, list(data["multi_modal_inputs"])


def image(number):
    return Image.open(BytesIO(make_row(number, "val", 0)["images"][0]["bytes"])).convert("RGB")
