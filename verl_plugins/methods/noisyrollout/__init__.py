"""NoisyRollout: part of a group's responses are sampled on noisy images, all are trained on clean ones (2504.13055)."""

from verl_plugins.methods.method import Method
from verl_plugins.methods.noisyrollout.apply import apply as apply_noisyrollout
from verl_plugins.methods.noisyrollout.maths import NoisyRolloutConfig
from verl_plugins.methods.noisyrollout.noisy_sampling import AGENT_LOOPS
from verl_plugins.methods.noisyrollout.requirements import check_processor, requirements

METHOD = Method(
    config=NoisyRolloutConfig,
    apply=apply_noisyrollout,
    driver="verl_plugins.methods.noisyrollout.driver:NoisyRolloutDriver",
    requirements=requirements,
    check_processor=check_processor,
    agent_loops=AGENT_LOOPS,
    takes_videos=False,
    demo_overrides=("algorithm.noisyrollout.n1=4", "algorithm.noisyrollout.n2=4"),
    demo_metrics=("noisy_responses", "reward_noisy"),
)
