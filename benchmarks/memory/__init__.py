"""The planner's memory formulas, held against measured peaks."""
