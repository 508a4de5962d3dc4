"""What came of it: how many cases, answered how, by method; which operations nobody did; and whether that will do."""

import json
from collections import Counter, defaultdict

CASES, SHARE_OF_SUCCESS = 3_000, 0.3
# The check asks each operation that answered once more without a token, and with one that is none.
PROBES = 50
# Operations that nobody is expected to do here, each with the reason.
NOBODY_DOES = {
    "POST /api/v1/outbox/{id}/send_again": "mail of the demo goes into files: none is given up",
}


class Tally:
    def __init__(self):
        self.by_method = defaultdict(Counter)  # of cases: first digits of statuses
        self.done, self.asked = Counter(), Counter()  # by operation
        self.probes = defaultdict(int)  # by person
        self.answers = Counter()  # of cases and of what the checks asked besides
        self.wrong = []

    def take(self, persona, status, report):
        """Count what one run of schemathesis has written down (NDJSON); a status other than 0 says that it failed."""
        if status:
            self.wrong.append(f"failed: {report.stem}")
        with report.open() as lines:
            for line in lines:
                scenario = json.loads(line).get("ScenarioFinished") or {}
                for case, answer in answered(scenario.get("recorder") or {}):
                    self.count(persona, case, answer["status_code"])

    def count(self, persona, case, status):
        self.answers[status // 100] += 1
        if status == 401:  # who asks has a token that counts: it was left out, to see what comes
            self.probes[persona] += 1
            return
        operation = f"{case['value']['method']} {case['value']['path']}"
        self.by_method[case["value"]["method"]][status // 100] += 1
        self.asked[operation] += 1
        self.done[operation] += status // 100 == 2

    def judged(self):
        """Say what came of it; the exit status."""
        total = sum(self.by_method.values(), Counter())
        cases, good = total.total(), total[2]
        for method, counts in sorted(self.by_method.items()):
            print(f"{method:7} {counts.total():5} cases, {counts[2] / counts.total():4.0%} of them 2xx: {dict(counts)}")
        print(f"all     {cases:5} cases, {good / max(cases, 1):4.0%} of them 2xx, {total[5]} of them 5xx")
        print(f"with what the checks asked besides: {dict(self.answers)}")
        print(f"asked without a token that counts, and answered 401, by person: {dict(self.probes)}")
        wrong = self.wrong + [
            f"nobody did: {each}" for each in self.asked if not self.done[each] and each not in NOBODY_DOES
        ]
        wrong += [f"fewer than {CASES:,} cases"] * (cases < CASES)
        wrong += [f"fewer than {SHARE_OF_SUCCESS:.0%} are 2xx"] * (good < SHARE_OF_SUCCESS * cases)
        wrong += ["the checks of authorisation did not run"] * (min(self.probes.values(), default=0) < PROBES)
        wrong += ["answers of 5xx"] * bool(total[5])
        print("\n".join(sorted(wrong)) or "Nothing is wrong.")
        return int(bool(wrong))


def answered(recorder):
    """Each case that was answered, with the answer."""
    for key, case in recorder.get("cases", {}).items():
        answer = recorder.get("interactions", {}).get(key, {}).get("response")
        if answer:
            yield case, answer
