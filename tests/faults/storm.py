"""A storm of kills: sweeps whose processes are killed (SIGKILL to the sweep or to one of its workers) or asked to stop
(SIGINT, SIGTERM) at random moments, and run again until they are done: `python storm.py FOLDER KILLS REAL [SEED]`.

KILLS are SIGKILLs, the first REAL of them to sweeps that really train, the others to toys'. After every run the journal
is held to what was acknowledged before, and every finished sweep to one that nobody killed. Prints what was counted;
ends with an error where anything is lost, invented, left behind or written outside the sweep's folder. Which blow comes
next is the seed's choice; what it hits is the machine's.
"""

import getpass
import json
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from ledger import Ledger
from processes import left_over
from running import PATIENCE_SECONDS, RealSweeps, ToySweeps
from surroundings import snapshot

from sweep.report.export_csv import to_csv
from sweep.report.findings import Findings
from sweep.store.history import read_history

# What a run may end with: well, a trial that is not done, a worker that was killed while it started, stopped, killed.
EXIT_CODES = {0, 1, 3, 130, 143, -signal.SIGKILL, -signal.SIGTERM}
# torch, when it is imported, makes an empty folder of this name in the system's folder for temporary files.
OF_TORCH = {"tmp", f"tmp/torchinductor_{getpass.getuser()}"}


class Storm:
    def __init__(self, folder, seed):
        self.folder = folder
        self.random = random.Random(seed)
        self.counts = Counter()
        self.troubles = []

    def break_over(self, sweeps, num_kills):
        """Kill sweeps until so many SIGKILLs have hit, a worker and a sweep among them; the last one is left to
        finish."""
        if not num_kills:
            return
        place = self._settle(f"{sweeps.name}-untouched")
        assert sweeps.start(place, jobs=1, checkpoint_every=0).end() == 0
        untouched = Ledger(_journal(place)).measured()
        goal, number = self.counts["kills"] + num_kills, 0
        while self._blows_until(goal):
            number += 1
            self._one_sweep(sweeps, self._settle(f"{sweeps.name}-{number}"), untouched, goal)

    def _blows_until(self, goal):
        return self.counts["kills"] < goal or not all(
            self.counts[f"kills of {whose}"] for whose in ("sweeps", "workers")
        )

    def _settle(self, name):
        """A folder for one sweep, with things around its own that are none of its business."""
        place = self.folder / name
        for folder in ("results/smoke", "results/other", "home", "tmp"):
            (place / folder).mkdir(parents=True)
        (place / "results" / "other" / "journal.jsonl").write_bytes(b"not a record\n")
        return place

    def _one_sweep(self, sweeps, place, untouched, goal):
        ledger = Ledger(_journal(place), untouched)
        around = snapshot(place, apart=place / "results" / "smoke")
        while self._one_run(sweeps, place, ledger, self._blows_until(goal)) != 0:
            pass
        ledger.check_done()
        self._check_folder(place, around, ledger)
        self.counts["sweeps"] += 1
        self.counts["records written"] += ledger.num_written
        self.counts["records acknowledged"] += ledger.num_acknowledged
        self.counts["records lost"] += ledger.lost
        self.counts["hashes compared"] += ledger.hashes_compared
        self.troubles += [f"{place.name}: {trouble}" for trouble in ledger.troubles]
        print(f"{self.counts['kills']} kills, {place.name} is done", file=sys.stderr)
        if not ledger.troubles:
            shutil.rmtree(place)  # of thousands, only what is to be looked at stays

    def _one_run(self, sweeps, place, ledger, is_to_be_hit):
        """Begin, or go on; the exit code. A worker is replaced, so the same run can be hit again."""
        running = sweeps.start(place, self.random.choice((1, 2)), self.random.choice((0.02, 0.1, 0.5)))
        while is_to_be_hit and self._await_a_moment(sweeps, running):
            is_to_be_hit = self._strike(running)
        exit_code = running.end()
        self._await_the_end_of_all(sweeps, place)
        self.counts["runs"] += 1
        ledger.note(running.heard)
        ledger.check()
        # Where nothing was said yet, Python itself may have been starting.
        if exit_code not in EXIT_CODES and (running.heard or exit_code != -signal.SIGINT):
            ledger.troubles.append(f"a run ended with {exit_code}")
        return exit_code

    def _await_a_moment(self, sweeps, running):
        """Whether the run has not ended by then."""
        kind = self.random.random()
        if kind < 0.3:  # any time, start-up included
            return running.hear(self.random.uniform(0, sweeps.seconds))
        if kind < 0.8:  # something trains
            return running.hear(PATIENCE_SECONDS, b'"stage_started"') and running.hear(
                self.random.uniform(0, sweeps.seconds / 3)
            )
        # A record has just been written, and another Stage begins.
        return running.hear(PATIENCE_SECONDS, b'"stage_ended"') and running.hear(self.random.uniform(0, 0.02))

    def _strike(self, running):
        """One blow; whether the run goes on."""
        kind = self.random.random()
        if kind < 0.5:
            if running.send(signal.SIGKILL):
                self._count_kill("sweeps")
        elif kind < 0.75:
            if running.kill_a_worker(self.random.choice):
                self._count_kill("workers")
            return True
        else:
            self.counts["requests to stop"] += 1
            running.send(number := self.random.choice((signal.SIGINT, signal.SIGTERM)))
            if self.random.random() < 0.3 and running.hear(self.random.uniform(0, 0.1)):
                running.send(number)  # not after a checkpoint: now
        return False

    def _count_kill(self, whose):
        self.counts["kills"] += 1
        self.counts[f"kills of {whose}"] += 1

    def _await_the_end_of_all(self, sweeps, place):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left := sweeps.left_behind(place):
            assert time.monotonic() < deadline, f"{place.name}: processes {left} outlive their sweep"
            time.sleep(0.01)

    def _check_folder(self, place, around, ledger):
        own = place / "results" / "smoke"
        ledger.troubles += [f"{name} is left over" for name in left_over(own)]
        after = snapshot(place, apart=own)
        changed = [name for name in around.keys() | after.keys() if around.get(name) != after.get(name)]
        ledger.troubles += [f"{name}, outside its folder, was written" for name in changed if name not in OF_TORCH]
        complaints = Path(f"{place}.stderr").read_text(errors="replace")
        ledger.troubles += [line for line in complaints.splitlines() if "Traceback" in line or "internal" in line]
        alone = self.folder / "alone.jsonl"  # the report needs nothing else
        shutil.copy(ledger.journal, alone)
        if exported(alone) != exported(ledger.journal):
            ledger.troubles.append("the report depends on more than the journal")


def exported(journal):
    """Everything that a report is made of."""
    return to_csv(Findings.of_history(read_history(journal)))


def _journal(place):
    return place / "results" / "smoke" / "journal.jsonl"


def main(folder, num_kills, num_real, seed=0):
    storm = Storm(Path(folder).resolve(), int(seed))
    storm.break_over(RealSweeps(), int(num_real))
    storm.break_over(ToySweeps(), int(num_kills) - int(num_real))
    print(json.dumps(storm.counts, indent=2))
    for trouble in storm.troubles:
        print(trouble, file=sys.stderr)
    return 1 if storm.troubles else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
