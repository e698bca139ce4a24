"""Which members of a test's table `make test` runs."""

from collections import Counter


def covering(rows: list[dict]) -> set[int]:
    """Few rows of a table, by their numbers, in which every value of every column is found: the row
    with most that is new, and of those the one whose values are the rarest so far.
    """
    columns = [{(name, repr(value)) for name, value in row.items()} for row in rows]
    missing, used, chosen = set().union(*columns), Counter(), set()
    while missing:
        best = max(
            range(len(rows)),
            key=lambda i: (len(columns[i] & missing), -sum(used[value] for value in columns[i])),
        )
        chosen.add(best)
        used.update(columns[best])
        missing -= columns[best]
    return chosen


def among(rows: list[dict], wanted: dict) -> set[int]:
    """A covering of the rows whose values are among those wanted of their columns; a value that no
    row has is an error.
    """
    for name, values in wanted.items():
        unknown = [value for value in values if value not in [row[name] for row in rows]]
        assert not unknown, f"cover({name}=...): the table has no {unknown}"
    some = [
        i
        for i, row in enumerate(rows)
        if all(row[name] in values for name, values in wanted.items())
    ]
    return {some[i] for i in covering([rows[i] for i in some])}
