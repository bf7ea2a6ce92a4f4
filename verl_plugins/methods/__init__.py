"""The methods' mathematics, one file each. Imports torch, never verl, ray or vllm.

METHODS lists every method: its name, which is also its key ``algorithm.<name>`` and its advantage estimator, with its
config class and its function on a global batch. They act in this order. A new method is one line here, and its yaml.
"""

from verl_plugins.methods import ecvgpo, ecvgpo_batch, saei, saei_batch, vepo, vepo_batch

METHODS = {
    "ecvgpo": (ecvgpo.ECVGPOConfig, ecvgpo_batch.apply),
    "vepo": (vepo.VEPOConfig, vepo_batch.apply),
    "saei": (saei.SaEIConfig, saei_batch.apply),
}
