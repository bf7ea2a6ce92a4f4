"""Best one-to-one matching of two sets, given the weight of each pair."""

from collections.abc import Sequence


def best_matching(weights: Sequence[Sequence[float]]) -> float:
    """Return the largest sum of weights over one-to-one matchings of rows and columns.

    If there are fewer rows than columns, every row is matched, and vice versa. Uses the Hungarian method with
    potentials, adding one row at a time (Kuhn 1955; Munkres 1957), in rows^2 * columns steps.
    """
    if len(weights) > len(weights[0]):
        weights = list(zip(*weights, strict=True))
    rows, columns = len(weights), len(weights[0])
    row_price, column_price = [0.0] * (rows + 1), [0.0] * (columns + 1)
    row_of = [0] * (columns + 1)  # rows and columns count from 1; 0 is "none"
    for row in range(1, rows + 1):
        row_of[0], column = row, 0
        slack, came_from, seen = [float("inf")] * (columns + 1), [0] * (columns + 1), [False] * (columns + 1)
        while row_of[column]:
            seen[column] = True
            current, step, nearest = row_of[column], float("inf"), 0
            for j in range(1, columns + 1):
                if seen[j]:
                    continue
                distance = -weights[current - 1][j - 1] - row_price[current] - column_price[j]
                if distance < slack[j]:
                    slack[j], came_from[j] = distance, column
                if slack[j] < step:
                    step, nearest = slack[j], j
            for j in range(columns + 1):
                if seen[j]:
                    row_price[row_of[j]] += step
                    column_price[j] -= step
                else:
                    slack[j] -= step
            column = nearest
        while column:
            row_of[column] = row_of[came_from[column]]
            column = came_from[column]
    return sum(weights[row_of[j] - 1][j - 1] for j in range(1, columns + 1) if row_of[j])
