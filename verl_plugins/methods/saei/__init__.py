"""SaEI: a second sampling on adversarial images that raise the entropy of mid-entropy tokens (arXiv 2512.10414)."""

from verl_plugins.methods.method import Method
from verl_plugins.methods.saei.apply import apply as apply_saei
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.requirements import check_processor, requirements
from verl_plugins.methods.saei.second_sampling import AGENT_LOOPS

METHOD = Method(
    config=SaEIConfig,
    apply=apply_saei,
    driver="verl_plugins.methods.saei.driver:SaEIDriver",
    requirements=requirements,
    check_processor=check_processor,
    agent_loops=AGENT_LOOPS,
    takes_videos=False,
    samples_again=True,
    has_pixel_gradient=True,
    attack="verl_plugins.methods.saei.evaluation_attack:EntropyAttack",
    demo_task="reasoning",
    demo_overrides=("algorithm.saei.n1=4", "algorithm.saei.n2=4"),
    demo_metrics=("selective_entropy_clean", "selective_entropy_adversarial", "reward_adversarial"),
)
