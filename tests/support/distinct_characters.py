"""Rewards where an answer's worth is no matter, by how many of its characters differ."""


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    """verl's signature; asserts that the row's fields have come through. Groups have a spread."""
    assert data_source and ground_truth and extra_info["image_sha256"]
    return {"score": len(set(solution_str)) / 100}


def one_in_four(data_source, solution_str, ground_truth, extra_info=None):
    """1 for about a quarter of the responses, so that of groups of four about a third have no spread."""
    return {"score": float(len(set(solution_str)) % 4 == 0)}
