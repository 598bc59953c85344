"""A cluster that runs nothing: a test says what its jobs leave, and when they have ended."""

from sweep.errors import MachineError
from sweep.run.left import leave
from sweep.run.messages import encode
from sweep.store.queue import Note, Outbox


class FakeCluster:
    """Each look and each question is asked at once."""

    seconds_between_looks = 0.0
    seconds_between_asking = 0.0
    seconds_to_appear = 0.0

    def __init__(self, workspace, answer_first=None):
        self.outbox = Outbox.of(workspace)
        self.answer_first = answer_first  # what the job that tells its environment leaves; None: nothing
        self.submitted = {}  # by the job's id: the errand, and what it waits for
        self.ends = {}  # by the job's id
        self.cancelled = []
        self.refuses = None

    def check(self):
        pass

    def submit(self, errand, after):
        if self.refuses is not None and not errand.name.startswith("~"):
            raise MachineError(self.refuses)
        job_id = str(100 + len(self.submitted))
        self.submitted[job_id] = (errand, after)
        if errand.name == "~prepare":
            if self.answer_first is not None:
                self.leaves(job_id, self.answer_first)
            self.ends[job_id] = "COMPLETED"
        return job_id

    def ended(self, jobs):
        return {job: self.ends[job] for job in jobs if job in self.ends}

    def cancel(self, jobs):
        self.cancelled += jobs

    def slip(self, job_id):
        from sweep.store.queue import Slip

        errand, _ = self.submitted[job_id]
        return Slip(errand.name, errand.attempt)

    def begins(self, job_id, progress=None):
        self.outbox.note(self.slip(job_id), Note(job_id, b"" if progress is None else encode(progress)))

    def leaves(self, job_id, *said):
        leave(self.outbox, self.slip(job_id), said)
