"""The planner's memory formulas beside measured peaks."""
