"""Rule-based rewards, one file a task; verl loads them by path through `reward.custom_reward_function.path`."""
