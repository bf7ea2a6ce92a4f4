"""VEPO: gradient for the tokens that depend on the image and are uncertain (arXiv 2606.03937)."""

from verl_plugins.methods.method import Method
from verl_plugins.methods.vepo.apply import apply as apply_vepo
from verl_plugins.methods.vepo.maths import VEPOConfig
from verl_plugins.methods.vepo.requirements import check_processor, requirements

METHOD = Method(
    config=VEPOConfig,
    apply=apply_vepo,
    driver="verl_plugins.methods.vepo.driver:VEPODriver",
    requirements=requirements,
    needs_entropy=lambda config: config.needs_entropy,
    check_processor=check_processor,
    weighs_tokens=True,
    has_second_forward=True,
    perturbation_of=lambda config: config.image_perturbation if config.needs_counterfactual else None,
    demo_task="reasoning",
    demo_metrics=("jsd", "selected_tokens", "kept_missed_by_entropy"),
)
