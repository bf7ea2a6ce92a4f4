"""A reward where an answer's worth is no matter: how many of its characters differ, so that groups have a spread."""


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    """verl's signature; asserts that the row's fields have come through."""
    assert data_source and ground_truth and extra_info["image_sha256"]
    return {"score": len(set(solution_str)) / 100}
