"""Rule-based rewards, one file for each task; verl loads them by `reward.custom_reward_function.path`."""
