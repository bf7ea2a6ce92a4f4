"""Batches of VEPO's tests, and verl's aggregations over the selected tokens."""

import torch

from verl_plugins.methods.batch import AdvantageBatch


def random_batch(rows=6, length=9, seed=0):
    """Two groups of three responses, one of which has no token."""
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.arange(length) < torch.tensor([9, 1, 4, 0, 7, 5]).unsqueeze(1)).long()
    positive = [torch.rand(rows, length, generator=generator) for _ in range(4)]
    return AdvantageBatch(
        advantages=torch.randn(rows, 1, generator=generator) * mask,
        response_mask=mask,
        old_log_probs=-positive[0],
        rewards=torch.rand(rows, generator=generator),
        groups=torch.tensor([0, 0, 0, 1, 1, 1]),
        entropy=positive[1],
        columns={"jsd": positive[2] * 0.6, "kl": positive[2], "perturbed_entropy": positive[3]},
    )


def permuted(batch, order):
    """The same responses in another order."""
    fields = ("advantages", "response_mask", "old_log_probs", "rewards", "groups", "entropy")
    return AdvantageBatch(
        **{name: getattr(batch, name)[order] for name in fields},
        columns={name: values[order] for name, values in batch.columns.items()},
    )


def of_the_selected(losses, kept, loss_agg_mode):
    """verl's aggregations by their names, over the selected tokens of the responses that have any."""
    sums, numbers = (losses * kept).sum(dim=1)[kept.any(dim=1)], kept.sum(dim=1)[kept.any(dim=1)]
    return {
        "token-mean": sums.sum() / numbers.sum(),
        "token-sum": sums.sum(),
        "seq-mean-token-mean": (sums / numbers).mean(),
        "seq-mean-token-sum": sums.mean(),
        "seq-mean-token-sum-norm": sums.mean() / losses.shape[1],
    }[loss_agg_mode]
