"""ECVGPO: advantages of good samples reshaped by self-information (arXiv 2512.06726)."""

from verl_plugins.methods.ecvgpo.apply import apply as apply_ecvgpo
from verl_plugins.methods.ecvgpo.maths import ECVGPOConfig
from verl_plugins.methods.method import Method

METHOD = Method(
    config=ECVGPOConfig,
    apply=apply_ecvgpo,
    driver="verl_plugins.methods.ecvgpo.driver:ECVGPODriver",
    needs_entropy=lambda config: config.is_adaptive,
    weighs_tokens=True,
    demo_overrides=("algorithm.ecvgpo.r0=-0.2",),  # tokens of 0.2 nats: with the paper's 10, thirty steps show nothing
    demo_metrics=("gated_groups", "reshaped_tokens"),
)
