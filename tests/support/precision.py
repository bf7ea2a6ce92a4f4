"""verl's default precision as overrides, for runs on the CPU platform, which sets float32."""

FSDP = "actor_rollout_ref.{role}.fsdp_config"
BF16 = [  # weights and optimizer states in float32, computation in bf16, gradients reduced in float32
    *(f"{FSDP.format(role=role)}.mixed_precision.param_dtype=bf16" for role in ("actor", "ref")),
    *(f"{FSDP.format(role=role)}.dtype=bfloat16" for role in ("actor", "ref")),
]
# Half the demo's prompts of a step: processors without AVX-512 compute bf16 in software, several times as long.
FEW_PROMPTS = ["data.train_batch_size=4", "actor_rollout_ref.actor.ppo_mini_batch_size=4"]
# The rollout engine computes in float32 there, the actor in bf16: the mean distance of the sampled tokens'
# log-probabilities in nats, and of their probabilities, is below this on the demo's own task, where 0.0015 to 0.004
# were measured with an earlier start. On rows of real data sets' forms, which today's start answers with more than
# twice the entropy, 0.012 and 0.021 nats were.
BF16_DISTANCE = 0.02
