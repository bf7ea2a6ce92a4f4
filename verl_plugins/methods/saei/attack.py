"""The attack on the images, in the actor: gradient of the selective entropy with respect to the pixels.

The parameters require no gradient meanwhile. The vocabulary is projected in chunks: the projection's hook takes the
gradient of the entropy with respect to the hidden states chunk by chunk, and returns in place of the logits one number
that has this gradient at the hidden states. The backward then runs from there to the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_id
from verl.utils.model import extract_multi_modal_inputs
from verl.utils.ulysses import get_ulysses_sequence_parallel_world_size
from verl.workers.engine.utils import prepare_micro_batches

from verl_plugins.components import hidden_states
from verl_plugins.components.hidden_states import (
    hidden_states_of,
    output_projection,
    prepare_inputs,
    sum_over_slices,
)
from verl_plugins.components.requests import BatchRequest
from verl_plugins.methods.saei.attacked_images import AttackedImages
from verl_plugins.methods.saei.maths import SaEIConfig, select_tokens, token_entropy
from verl_plugins.methods.saei.second_sampling import PIXELS, SIZES, STATISTICS
from verl_plugins.seeds import seed_of


@dataclass(frozen=True)
class AttackRequest(BatchRequest):
    """Request to attack the images of a batch.

    Args:
        config: the method's config.
        seed, step: key of the random draws.
        processor_settings: keyword arguments of the model's processor, verl's ``data.mm_processor_kwargs``.
    """

    config: SaEIConfig
    seed: int
    step: int
    processor_settings: dict[str, Any] = field(default_factory=dict)

    def forward_backward(self, engine: Any, data: TensorDict) -> dict[str, Any]:
        """Attack the images of a rank's rows (``adversarial_images``)."""
        return adversarial_images(engine, data, self)


def adversarial_images(engine: Any, data: TensorDict, request: AttackRequest) -> dict[str, Any]:
    """Attack the images of a rank's rows. Every row has an image; a prompt has one row per response.

    Args:
        engine: verl's ``FSDPEngineWithLMHead``, on FSDP2.
        data: rows as verl's workers get them. They are split into micro-batches as in training.

    Returns:
        The dictionary of verl's ``forward_backward_batch``. ``model_output`` holds PIXELS and SIZES (nested; filled in
        the first row of each prompt, empty in the others) and STATISTICS (B, 3).
    """
    config = request.config
    micro_batches, order = _micro_batches(engine, data)
    uids, index, inputs = (_plain(data, name) for name in ("uid", "index", "multi_modal_inputs"))
    processor, key = engine.model_config.processor, (request.seed, request.step)
    images = AttackedImages(processor, request.processor_settings, uids, index, inputs, key)
    entropy = torch.zeros(2, len(data))
    selected: list[Tensor | None] = [None] * len(micro_batches)  # tokens of the first forward
    starts = torch.tensor([0, *(len(micro_batch) for micro_batch in micro_batches)]).cumsum(0).tolist()
    with only_pixels_take_gradient(engine), torch.enable_grad():
        for step in range(config.steps + 1):
            is_last = step == config.steps  # measures the entropy after the attack
            with_gradient = not is_last and config.direction == "gradient"
            if step == 0 or is_last or with_gradient:
                for number, micro_batch in enumerate(micro_batches):
                    rows = order[starts[number] : starts[number + 1]]
                    noise = _noise(request, data, rows) if config.band == "random" else None
                    row_entropy, selected[number] = _forward(
                        engine, micro_batch, images, config, selected[number], noise, with_gradient
                    )
                    if step == 0 or is_last:
                        entropy[int(is_last), rows] = row_entropy.cpu()
            if not is_last:
                images.take_step(config, step)
    return {"model_output": _output(uids, images, entropy), "loss": [0.0], "metrics": {}}


def _micro_batches(engine: Any, data: TensorDict) -> tuple[list[TensorDict], list[int]]:
    """Split the rows into micro-batches of training's size, because they have a backward.

    Returns:
        The micro-batches, and the index in ``data`` of each of their rows, in order.
    """
    training = engine.engine_config
    size = max(1, training.micro_batch_size_per_gpu or 1)
    tu.assign_non_tensor(
        data,
        sp_size=get_ulysses_sequence_parallel_world_size(),
        use_dynamic_bsz=training.use_dynamic_bsz,
        max_token_len_per_gpu=training.max_token_len_per_gpu,
        micro_batch_size_per_gpu=next(n for n in range(min(size, len(data)), 0, -1) if len(data) % n == 0),
    )
    indices: Any
    micro_batches, indices = prepare_micro_batches(
        data=data, dp_group=engine.get_data_parallel_group(), same_micro_num_in_dp=True
    )
    return micro_batches, list(range(len(data))) if indices is None else list(chain.from_iterable(indices))


def _plain(data: TensorDict, name: str) -> list[Any]:
    return [tu.unwrap_non_tensor_data(value) for value in data[name]]


def _forward(
    engine: Any,
    micro_batch: TensorDict,
    images: AttackedImages,
    config: SaEIConfig,
    selected: Tensor | None,
    noise: Tensor | None,
    with_gradient: bool,
) -> tuple[Tensor, Tensor]:
    """Run a micro-batch on the current images, and add to the images' gradients if ``with_gradient``.

    Under Ulysses sequence parallelism every rank runs the vision tower on whole images and the language model on its
    slice of the tokens, so the gradient that it adds is the part that flows through the image tokens of its slice;
    ``AttackedImages.take_step`` sums the parts.

    Args:
        selected: (B, T) bool, tokens that an earlier forward selected, so that the entropies before and after the
            attack are of the same tokens; None in the first forward.
        noise: (B, T) float for the band "random".

    Returns:
        H_sel of each row, (B,) float32 in nats, and the selected tokens, (B, T) bool.
    """
    uids = _plain(micro_batch, "uid")
    micro_batch = micro_batch.to(get_device_id())
    model_inputs, predictions = prepare_inputs(engine, micro_batch)
    model_inputs |= extract_multi_modal_inputs([images.inputs(uid) for uid in uids])
    pixel_values = model_inputs["pixel_values"] = model_inputs["pixel_values"].detach().requires_grad_(with_gradient)
    mask = torch.nested.to_padded_tensor(micro_batch["response_mask"], 0).bool()
    head = output_projection(engine.module)
    results: list[tuple[Tensor, Tensor]] = []

    def visit(states: Tensor) -> Tensor | None:
        states, rows = states[predictions.positions], predictions.rows
        tokens = selected
        if tokens is None:
            entropy = torch.zeros(mask.shape, device=states.device)
            entropy[rows, predictions.within] = entropy_and_gradient(head, states.detach(), predictions.temperature)[0]
            tokens = select_tokens(sum_over_slices(entropy), mask, config, noise)
        # indices, not a mask, which would wait for the device at each use
        chosen = tokens[rows, predictions.within].nonzero().squeeze(1)
        rows, weight = rows[chosen], 1.0 / tokens.sum(dim=1).clamp_min(1)
        entropy, gradient = entropy_and_gradient(
            head, states[chosen].detach(), predictions.temperature[chosen], weight[rows] if with_gradient else None
        )
        mean = torch.zeros(len(mask), device=states.device).index_add_(0, rows, entropy * weight[rows])
        results.append((sum_over_slices(mean), tokens))
        return None if gradient is None else (states[chosen] * gradient).sum().reshape(1, 1, 1)

    with hidden_states_of(engine, visit), torch.set_grad_enabled(with_gradient):
        output = engine.module(**model_inputs, use_cache=False)
    if with_gradient:
        (gradient,) = torch.autograd.grad(output.logits.sum(), pixel_values)
        images.add_gradient(uids, gradient.float().cpu())
    return results[0]


def entropy_and_gradient(
    head: nn.Linear, states: Tensor, temperature: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Compute the entropy of the next token chunk by chunk and, given a ``weight``, the gradient of
    sum(weight * entropy) with respect to the hidden states.

    Args:
        head: projects (n, hidden size) to (n, V).
        states: (N, hidden size), detached.
        temperature: (N,) float32.
        weight: (N,) float32.

    Returns:
        Entropy (N,) float32 in nats; gradient (N, hidden size) in the dtype of ``states``, None without a weight.
    """
    size = max(1, hidden_states.CHUNK // 4 // head.out_features)  # several float32 copies of a chunk exist at once
    entropies, gradients = [], []
    for start in range(0, len(states), size):
        part = slice(start, start + size)
        with torch.set_grad_enabled(weight is not None):
            leaf = states[part].detach().requires_grad_(weight is not None)
            entropy = token_entropy(
                head.forward(leaf) / temperature[part, None]
            )  # not head(...), whose hook is the model's
        entropies.append(entropy.detach())
        if weight is not None:
            gradients.append(torch.autograd.grad((entropy * weight[part]).sum(), leaf)[0])
    empty = states.new_zeros(0, dtype=torch.float32)
    return torch.cat([empty, *entropies]), None if weight is None else torch.cat([states[:0], *gradients])


def _output(uids: list[str], images: AttackedImages, entropy: Tensor) -> dict[str, Tensor]:
    nothing = torch.empty(0, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    first = {uid: row for row, uid in reversed(list(enumerate(uids)))}
    rows = [images.bytes_and_sizes(uid) if first[uid] == row else nothing for row, uid in enumerate(uids)]
    pixels, sizes = (torch.nested.as_nested_tensor(list(part), layout=torch.jagged) for part in zip(*rows, strict=True))
    change = {uid: images.change(uid) for uid in first}
    statistics = torch.stack([*entropy, torch.tensor([change[uid] for uid in uids])], dim=1)
    return {PIXELS: pixels, SIZES: sizes, STATISTICS: statistics}


def _noise(request: AttackRequest, data: TensorDict, rows: list[int]) -> Tensor:
    """Draw (B, T) numbers in [0, 1), the same for the same response of a resumed run."""
    mask: Any = data["response_mask"]  # nested
    lengths = mask.offsets().diff().tolist()
    index, session = _plain(data, "index"), _plain(data, "session_id")
    generator = torch.Generator()
    noise = torch.zeros(len(rows), max(lengths[row] for row in rows))
    for place, row in enumerate(rows):
        generator.manual_seed(seed_of(request.seed, request.step, index[row], "tokens", session[row]))
        noise[place, : lengths[row]] = torch.rand(lengths[row], generator=generator)
    return noise.to(get_device_id())


@contextmanager
def only_pixels_take_gradient(engine: Any) -> Iterator[None]:
    """Freeze all parameters meanwhile. Activations are checkpointed as in training, without training's dropout."""
    fix_gradient_dtypes(engine.module)
    reshard(engine.module)
    trained = [parameter for parameter in engine.module.parameters() if parameter.requires_grad]
    training = [module for module in engine.module.modules() if module.training]
    for parameter in trained:
        parameter.requires_grad_(False)
    if engine.model_config.enable_gradient_checkpointing:
        engine.module.train()
        for module in engine.module.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
    try:
        yield
    finally:
        reshard(engine.module)  # otherwise FSDP2 continues with gathered parameters that require no gradient
        for parameter in trained:
            parameter.requires_grad_(True)
        engine.module.eval()
        for module in training:
            module.training = True


def fix_gradient_dtypes(module: nn.Module) -> None:
    """Make FSDP2 choose the dtypes of the gradient reduction while the parameters still require gradients.

    FSDP2 chooses them once, in a module's first forward, and chooses none for frozen parameters. If the attack were
    that first forward, an update in bf16 mixed precision would get bf16 gradients for float32 weights, and raise.
    """
    if isinstance(module, FSDPModule):
        module._get_fsdp_state()._lazy_init()


def reshard(module: nn.Module) -> None:
    """Make FSDP2's sharded parameters, which the optimizer holds, the module's parameters again."""
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()
