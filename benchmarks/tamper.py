"""`make bench-tamper`: everything that can be done to a log of 200 events, and how much of it each verifier lets pass.

Prints a table; ends with 1 if anything passed, or if one of 1,000 untouched random logs raised an alarm. `--stride 50`
leaves out all but each fiftieth bit.
"""

import argparse
import sys
import time
from functools import cache

from benchmarks.audit import ready

LINE = "{:<28}{:>12}{:>10}{:>10}{:>9}"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tamper", description=__doc__)
    parser.add_argument("--stride", type=int, default=1)
    asked = parser.parse_args()
    ready()
    from tests.audit import tampered
    from tests.audit.logs import offline

    offline.signed_by = cache(offline.signed_by)
    log, wrong = tampered.make(), 0
    print(LINE.format("what is done", "times", "site", "offline", "seconds"))
    for told in measures(tampered, log, asked.stride):
        begun = time.perf_counter()
        for kind, (count, site, outside) in told().items():
            print(LINE.format(kind, count, shown(site), shown(outside), round(time.perf_counter() - begun)), flush=True)
            wrong += (site or 0) + (outside or 0)
    print(f"{wrong} wrong answers")
    return int(wrong > 0)


def measures(tampered, log, stride):
    """Functions that each give {kind: (how often, wrong answers of the site's verifier, of the offline one)}."""
    kept = log.notes[-1]
    both = [tampered.is_seen, tampered.is_seen_offline]
    knowing = [lambda old: tampered.is_seen(old, kept), lambda old: tampered.is_seen_offline(old, kept)]
    alarms = tampered.false_alarms
    return [
        lambda: {"bit of a column": (*tampered.flip_columns(log, stride), None)},
        lambda: {"bit of a number": (*tampered.flip_numbers(log, stride), None)},
        lambda: {"bit of an export": spread(*tampered.flip_export(log, stride))},
        lambda: only_site(tampered.passed_by_kind(tampered.without_repair(log), tampered.is_seen)),
        lambda: tampered.passed_by_kind(tampered.with_repair(log), *both),
        lambda: tampered.passed_by_kind(tampered.old_copies(log), *knowing),
        lambda: {"nothing": (1000, *alarms(1000).values())},
    ]


def spread(count, passed):
    return count, None, passed


def only_site(told):
    return {kind: (*counts, None) for kind, counts in told.items()}


def shown(wrong):
    return "" if wrong is None else wrong


if __name__ == "__main__":
    sys.exit(main())
