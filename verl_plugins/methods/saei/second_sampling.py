"""What a prompt carries that is sampled a second time in its step, from the driver to the agent loop."""

from __future__ import annotations

from typing import TypedDict

SECOND_SAMPLING = "second_sampling"  # its key in the prompt


class SecondSampling(TypedDict):
    """How a prompt is sampled again; a plain dictionary, because reward workers read it too, without this package.

    Args:
        key: the row of the TransferQueue that holds its adversarial images; None to sample on the clean ones again.
        first_session: number of its responses so far: the seeds go on from there.
        update: "clean" or "adversarial": the image that the actor is given for the response.
    """

    key: str | None
    first_session: int
    update: str
