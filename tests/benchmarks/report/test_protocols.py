"""Mean gains in the page: those of the tables, for data sets with several protocols."""

import re
from pathlib import Path

from helpers.records import draws
from helpers.report_pages import Document, report_data, write

from ssl_video.benchmarks.report.protocols import section


def test_mean_gains(tmp_path: Path) -> None:
    """CMPL gains 2, 4 and 6 points in three protocols: 4 on average, see ../tables/test_mean_gain.py."""
    runs = []
    for labeled, gain in ((1, 0.02), (2, 0.04), (5, 0.06)):
        protocol = {"protocol": f"per-class:{labeled}", "labeled": 10 * labeled}
        runs += [
            *draws("supervised", 0.3, 0.4, **protocol),
            *draws("cmpl", 0.3 + gain, 0.4 + gain, **protocol),
        ]
    three = Document(section(report_data(write(tmp_path / "three", *runs))).html)
    assert "demo: mean gain over protocols" in three.text
    assert any("cmpl: +4.0 ± 5.0 (3/3)" in text for text in three.text)
    one = Document(section(report_data(write(tmp_path / "one", *runs[:4]))).html)
    assert not any("mean gain" in text for text in one.text)


def test_each_method_over_labels_stands_beside_the_baseline_of_its_setting(tmp_path: Path) -> None:
    runs = []
    for labeled in (1, 5):
        protocol = {"protocol": f"per-class:{labeled}", "labeled": 10 * labeled}
        for steps, setting in ((300, "s00000000"), (900, "s11111111")):
            for algorithm in ("supervised", "cmpl"):
                facts = protocol | {
                    "steps": steps,
                    "setting": setting,
                    "configuration": f"c{algorithm}{steps}",
                }
                runs += draws(algorithm, 0.3, 0.4, **facts)
    text = Document(section(report_data(write(tmp_path, *runs))).html).text
    curves = text[text.index("demo: over the number of labels") :]
    names = [words for words in curves if re.fullmatch(r"(cmpl|supervised) steps=\d+", words)]
    assert {*names} == {
        f"{method} steps={steps}" for method in ("cmpl", "supervised") for steps in (300, 900)
    }
    # First the plot of 300 steps, then that of 900: neither has the other's baseline.
    assert names == sorted(names, key=lambda name: name[-3:])
