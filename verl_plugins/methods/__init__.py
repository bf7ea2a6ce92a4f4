"""The methods' mathematics, a folder each. Imports torch, never verl, ray or vllm.

METHODS lists every method: its name, which is also its key ``algorithm.<name>`` and its advantage estimator, with its
config class and its function on a global batch. They act in this order. A new method is one line here, and its yaml.
"""

from verl_plugins.methods.ecvgpo import apply as ecvgpo_apply
from verl_plugins.methods.ecvgpo import maths as ecvgpo
from verl_plugins.methods.saei import apply as saei_apply
from verl_plugins.methods.saei import maths as saei
from verl_plugins.methods.vepo import apply as vepo_apply
from verl_plugins.methods.vepo import maths as vepo

METHODS = {
    "ecvgpo": (ecvgpo.ECVGPOConfig, ecvgpo_apply.apply),
    "vepo": (vepo.VEPOConfig, vepo_apply.apply),
    "saei": (saei.SaEIConfig, saei_apply.apply),
}
