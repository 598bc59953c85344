"""A task whose every part takes a time of its own, by a clock that only a test moves."""

# Each part of the work takes a time of its own, so that a sum of seconds says what it is made of.
SECONDS = {"order": 0.125, "draws": 0.25, "batch": 1, "loss": 100, "evaluate": 100_000, "build_model": 10_000_000}


def slowed(task, hands, seconds=SECONDS):
    """`task`, whose methods and whose source's move the hands of the clock by so many seconds each."""

    def slow(method, duration):
        def call(*args):
            hands.seconds += duration
            return method(*args)

        return call

    for name, duration in seconds.items():
        owner = task if hasattr(task, name) else task.source
        setattr(owner, name, slow(getattr(owner, name), duration))
    return task
