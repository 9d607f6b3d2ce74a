"""Write the page of a results folder: the call behind `ssl-video report`."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ssl_video.benchmarks.tables.results import BASELINE, Results, read_results
from ssl_video.errors import InputError, counted
from ssl_video.names import Names
from ssl_video.observer import Observer, observer


def write_report(
    results: str | PathLike[str] | Results = "ssl-video-results",
    output: str | PathLike[str] = "report",
    *,
    algorithm: Names = (),
    dataset: Names = (),
    protocol: Names = (),
    where: Sequence[str] = (),
    baseline: str = BASELINE,
    gallery: bool = True,
    figures: str | PathLike[str] | None = None,
    progress: bool | Observer | None = None,
) -> Path:
    """Write one HTML page of finished runs: tables, curves, audits, clips, settings, commands.

    A browser opens it without a network. The clips in it are taken from the data sets that are at hand.

    Args:
        results: a results folder, or an archive of records; or some of its runs, see `Results.select`.
        output: the folder of the page, made if needed.
        algorithm: only these algorithms and the baseline; none: all.
        dataset: only these data sets; none: all.
        protocol: only these partition protocols; none: all.
        where: further conditions, see `Results.select`.
        baseline: the algorithm, configuration or row that gains are counted from.
        gallery: whether to show clips, which are most of the page's size.
        figures: a folder for the charts as files, for papers: of each a .svg that stands alone and, where the
            extra `figures` is installed, a .pdf; index.csv has file (a name without its ending), section,
            title and description. None: no files.
        progress: True, False, or an observer; None: shown in a terminal or a notebook.

    Returns:
        The page.

    Raises:
        InputError: no finished run meets the conditions, or a folder cannot be written to.
    """
    from ssl_video.benchmarks.report import page
    from ssl_video.benchmarks.report.data import ReportData
    from ssl_video.benchmarks.report.figures import write

    shown = observer(progress)
    runs = results if isinstance(results, Results) else read_results(results)
    with shown.preparing() as report:
        for problem in runs.problems:
            shown.warn(problem)
        if not len(runs):
            raise InputError(f"there is no finished run in {runs.folder}; `ssl-video bench` produces runs")
        if not runs.has_records:
            raise InputError(f"{runs.folder} holds a published table without its runs, which a report needs")
        some = runs.select(*where, algorithm=algorithm, dataset=dataset, protocol=protocol, baseline=baseline)
        if some.frame["top1"].isna().all():
            raise InputError(f"{counted(len(some), 'run', 'have')} no test clips, so there are no accuracies")
        reference = some.configuration(baseline)
        page.make_folder(Path(output))
        if figures is not None:
            page.make_folder(Path(figures), "--figures")
        data = ReportData(runs.records, some.frame, runs.problems, reference, gallery=gallery)
        sections, left_out = page.made(data, lambda done, total: report("sections", done, total))
        for sentence in data.damaged:
            shown.warn(sentence)
        if figures is not None:
            notes = write(Path(figures), sections, lambda done, total: report("figures", done, total))
            for sentence in notes:
                shown.warn(sentence)
        return page.write(Path(output), page.framed(data, sections, left_out))
