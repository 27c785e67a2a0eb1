"""The epochs that a log lacks, in words."""

SHOWN = 5                # ranges of epochs that a sentence names; more are counted


def missing_between(epochs):
    """` without epoch 7`: the numbers that ascending epochs skip; empty if there are none.

    Only their ranges are computed: the numbers may be huge.
    """
    return _without([(before + 1, after - 1) for before, after in zip(epochs, epochs[1:])
                     if after - before > 1])


def missing_epochs(epochs, expected):
    """` without epochs 3, 7-9`: the expected epochs that are not there; empty if all are.

    Epochs count as neighbours if they are neighbours in `expected`.
    """
    there, ranges, is_open = set(epochs), [], False
    for epoch in expected:
        if epoch in there:
            is_open = False
        elif is_open:
            ranges[-1] = (ranges[-1][0], epoch)
        else:
            ranges.append((epoch, epoch))
            is_open = True
    return _without(ranges)


def _without(ranges):
    if not ranges:
        return ""
    words = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:SHOWN]]
    more = f" and {len(ranges) - SHOWN} more gaps" if len(ranges) > SHOWN else ""
    plural = "s" if len(words) > 1 or "-" in words[0] else ""
    return f" without epoch{plural} {', '.join(words)}{more}"
