"""The files that a report is asked for beside what it prints: checked before anything is read, written at the end.

What draws and writes them is loaded only where one is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweep.errors import Complaints, Problem, UsageError
from sweep.report.findings import Findings


@dataclass(frozen=True)
class Outputs:
    """None where a file is not asked for. `tensorboard` is a folder."""

    plot: Path | None = None
    html: Path | None = None
    tensorboard: Path | None = None

    def check(self) -> None:
        """Pass in silence where all of them can be meant.

        Raises:
            UsageError: with everything that is wrong with their names.
        """
        complaints = Complaints()
        with complaints:
            self._check_places()
        if self.plot is not None:
            from sweep.report.picture import Picture

            with complaints:
                Picture.parse(self.plot)
        if self.html is not None:
            from sweep.report.page import check_page

            with complaints:
                check_page(self.html)
        if self.tensorboard is not None:
            from sweep.report.tensorboard import check_folder

            with complaints:
                check_folder(self.tensorboard)
        complaints.raise_any()

    def _check_places(self) -> None:
        files = {"--plot": self.plot, "--html": self.html}
        problems = [
            Problem(f"{path.parent} is no folder", where=option, fix="make it first")
            for option, path in files.items()
            if path is not None and not path.parent.is_dir()
        ]
        if self.plot is not None and self.plot == self.html:
            problems.append(Problem("is the file of --plot too", where="--html"))
        if problems:
            raise UsageError(problems)

    def write(self, findings: Findings) -> None:
        """Write them.

        Raises:
            MachineError: the disk is full, or a folder cannot be written.
        """
        if self.plot is not None:
            from sweep.report.chart import findings_chart
            from sweep.report.picture import Picture

            Picture.parse(self.plot).write(findings_chart(findings))
        if self.html is not None:
            from sweep.report.page import write_page

            write_page(findings, self.html)
        if self.tensorboard is not None:
            from sweep.report.tensorboard import write_events

            write_events(findings, self.tensorboard)
