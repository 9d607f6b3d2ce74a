"""Finished runs as data frames, and their comparisons as tables in all formats."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

import pandas as pd
from rich.console import Console, ConsoleOptions, RenderableType

from ssl_video.benchmarks.tables import exports, filters, leaderboard, table_content
from ssl_video.benchmarks.tables import published as literature
from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.comparison import METHOD_KEYS
from ssl_video.benchmarks.tables.naming import labels
from ssl_video.benchmarks.tables.table_content import TableContent
from ssl_video.benchmarks.tables.terminal import to_terminal
from ssl_video.errors import InputError, nearest, unknown
from ssl_video.names import Names, listed
from ssl_video.runs import archive
from ssl_video.runs.folder import RunFolder, run_folder

BASELINE = "supervised"


class ResultTable:
    """Methods against sets of labels: mean accuracies and paired gains with their intervals.

    It prints itself in a terminal (`print`, rich) and in a notebook.
    """

    def __init__(self, content: TableContent) -> None:
        self._content = content

    @property
    def caption(self) -> str:
        """A sentence that explains the numbers."""
        return self._content.comparison.caption

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that qualify the numbers."""
        return self._content.notes

    def to_frame(self) -> pd.DataFrame:
        """Return one row per cell: mean, half_width, n, gain, p, ... Columns: docs/leaderboard.md."""
        return pd.DataFrame(exports.records(self._content), columns=list(exports.FIELDS))

    def to_markdown(self) -> str:
        """Return a table in GitHub's Markdown."""
        return exports.to_markdown(self._content)

    def to_latex(self) -> str:
        """Return a LaTeX tabular for the package booktabs."""
        return exports.to_latex(self._content)

    def to_csv(self) -> str:
        """Return the rows of `to_frame` as CSV."""
        return exports.to_csv(self._content)

    def to_json(self) -> str:
        """Return the rows of `to_frame`, mean gains, caption and notes as JSON."""
        return exports.to_json(self._content)

    def to_text(self, width: int = 100) -> str:
        """Return the table as text with at most `width` characters per line."""
        console = Console(width=width, color_system=None, force_jupyter=False)
        with console.capture() as capture:
            console.print(to_terminal(self._content, width))
        return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"

    def __str__(self) -> str:
        return self.to_text()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield to_terminal(self._content, options.max_width)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


@dataclass(frozen=True)
class Results:
    """Finished runs of a results folder or an archive.

    Attributes:
        folder: the results folder, or the archive.
        frame: one row per run, the columns of leaderboard.csv first.
        problems: a sentence for each result that cannot be used.
        failures: the reason of each failed run of a benchmark, by the run's name.
    """

    folder: Path
    frame: pd.DataFrame
    problems: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    _names: Mapping[str, str] = field(default_factory=dict, repr=False)  # configurations by names of rows
    _records: Path | None = field(default=None, repr=False)  # the results folder with the runs' folders

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def runs(self) -> list[RunFolder]:
        """The folders of the runs, in the order of the frame."""
        return [run_folder(self.records, name) for name in self.frame["run"]]

    @property
    def records(self) -> Path:
        """The results folder in which the runs' folders are; that of an archive is a temporary one."""
        return self._records or self.folder

    def select(
        self,
        *where: str,
        algorithm: Names = (),
        dataset: Names = (),
        protocol: Names = (),
        baseline: str = BASELINE,
    ) -> "Results":
        """Return only the runs that meet all conditions.

        Args:
            where: conditions on columns of the frame and keys of the specification: "size=112",
                "options.threshold>=0.9", "backbone!=tiny3d". * stands for anything.
            algorithm: names of algorithms.
            dataset: names of data sets.
            protocol: partition protocols.
            baseline: an algorithm or method that is kept when other algorithms are selected.

        Raises:
            InputError: an invalid condition, a key or value that no run has, or no run meets all conditions.
        """
        lists = {"algorithm": algorithm, "dataset": dataset, "protocol": protocol}
        conditions = [
            filters.Condition(key, "=", tuple(listed(names))) for key, names in lists.items() if names
        ]
        conditions += filters.parse(where)
        named = self
        if not self._has(baseline):
            # A row's name depends on the rows beside it: a user may have it from the selection itself.
            found = replace(self, frame=filters.select(self.frame, conditions))
            named = replace(self, _names={**self._names, **self._rows(), **found._rows()})
        configuration = named.configuration(baseline)
        return replace(named, frame=filters.select(self.frame, conditions, keep=configuration))

    def only(self, names: Sequence[str]) -> "Results":
        """Return only the runs with these names."""
        return replace(self, frame=self.frame[self.frame["run"].isin(names)])

    def compare(
        self,
        baseline: str = BASELINE,
        *,
        predictors: bool = False,
        cost: bool = False,
        mean_gain: bool = False,
        published: bool | Sequence[str] = False,
    ) -> ResultTable:
        """Compare methods on the same labels and seeds.

        Args:
            baseline: the algorithm, configuration or row (by its name in the table) that gains are counted
                from.
            predictors: whether networks other than the headline get rows.
            cost: whether to show operations, training cost and seconds.
            mean_gain: whether to show mean gains over the columns of each data set.
            published: whether to show published numbers, in a part of their own; or the methods to show.

        Raises:
            InputError: there is no such baseline; mean gains over several versions of one data set.
        """
        compared = comparison(self.frame, self.configuration(baseline), predictors=predictors)
        content = table_content.lay_out(compared, costs=cost, mean_gains=mean_gain)
        if published:
            methods = () if published is True else tuple(published)
            content = replace(content, published=literature.beside(compared.columns, methods))
        return ResultTable(content)

    def write(self) -> Path:
        """Write leaderboard.csv from all finished runs of the folder, and return the file.

        Raises:
            InputError: the folder cannot be written to, the table there is a published one, or the runs are
                those of an archive.
        """
        if self.folder.is_file():
            raise InputError(f"{self.folder} is an archive, which holds no {leaderboard.FILE} to write")
        leaderboard.write(self.folder)
        return self.folder / leaderboard.FILE

    def write_archive(self, path: str | PathLike[str] = archive.FILE) -> Path:
        """Write the result, partition and predictions of these runs into one zip file.

        `read_results`, `write_report` and `analysis.compare` read it without a folder of runs. The file is
        small, and the same runs give the same bytes.

        Args:
            path: the file; it replaces an archive that has no other runs.

        Returns:
            The file.

        Raises:
            InputError: there is no run, or only a table of them; a record is damaged; the file cannot be
                written, or holds something else.
        """
        if self.frame.empty or not self.has_records:
            raise InputError(f"{self.folder} has no records of runs, which an archive is made from")
        archive.write(Path(path), self.runs)
        return Path(path)

    @property
    def is_published(self) -> bool:
        """True if the runs are not in the folder: they are a published table's, or an archive's."""
        return not self.has_records or self.records != self.folder

    @property
    def has_records(self) -> bool:
        """False if a published leaderboard.csv is all there is of the runs."""
        return self.frame.empty or "spec" in self.frame

    def configuration(self, baseline: str) -> str:
        """Return the algorithm or configuration that a baseline's name stands for.

        Raises:
            InputError: no row has this name.
        """
        if self._has(baseline):
            return baseline
        named = {**self._names, **self._rows()}
        if baseline not in named:
            # Of a table with many rows, the names of all would hide the sentence.
            known = named if nearest(baseline, named) else set(self.frame["algorithm"])
            raise InputError(unknown("baseline", baseline, known))
        return named[baseline]

    def _has(self, baseline: str) -> bool:
        """Return whether a baseline is an algorithm or a configuration, or needs no run."""
        # A table without a run of supervised has no gains; its notes report this.
        known = {*self.frame["algorithm"], *self.frame["configuration"], BASELINE}
        return self.frame.empty or baseline in known

    def _rows(self) -> dict[str, str]:
        """Return the configuration of every row of a table of these runs, by the row's name."""
        methods = self.frame.drop_duplicates(METHOD_KEYS)
        if methods.empty:
            return {}
        return dict(zip(labels(methods)[0], methods["configuration"], strict=True))


def read_results(folder: str | PathLike[str] = "ssl-video-results") -> Results:
    """Read the finished runs of a results folder, a published leaderboard.csv, or an archive of records.

    Nothing is written, but an archive is unpacked into a temporary folder.

    Args:
        folder: the results folder; or an archive, see `Results.write_archive`.

    Raises:
        InputError: there is no such folder, or its published table or the archive cannot be read.
    """
    found = leaderboard.read(Path(folder))
    return Results(Path(folder), found.frame, tuple(found.problems), _records=found.records)


def published_results(dataset: Names = (), algorithm: Names = ()) -> ResultTable:
    """Return the numbers that papers report, which come with the package.

    Args:
        dataset: names of data sets; none: all.
        algorithm: names of methods; none: all.
    """
    nothing = table_content.lay_out(comparison(pd.DataFrame(columns=list(leaderboard.COLUMNS))))
    return ResultTable(replace(nothing, published=literature.alone(listed(dataset), listed(algorithm))))
