"""Every method against GRPO at equal budget: the runs, their metrics and the page docs/evidence.md."""
