"""VPPO: gradient for the tokens that depend most on the image, more for responses that do (arXiv 2510.09285)."""

from verl_plugins.methods.method import Method
from verl_plugins.methods.vppo.apply import apply as apply_vppo
from verl_plugins.methods.vppo.maths import VPPOConfig
from verl_plugins.methods.vppo.requirements import check_processor, requirements

METHOD = Method(
    config=VPPOConfig,
    apply=apply_vppo,
    driver="verl_plugins.methods.vppo.driver:VPPODriver",
    requirements=requirements,
    check_processor=check_processor,
    weighs_tokens=True,
    has_second_forward=True,
    perturbation_of=lambda config: None if config.is_grpo else config.image_perturbation,
    demo_task="reasoning",
    demo_metrics=("kl", "selected_tokens"),
)
