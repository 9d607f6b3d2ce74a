"""The literature's numbers, `published.csv`: shown beside measured ones, never ranked with them.

Rows with one method, dataset and share of labels may still differ in which clips were labeled, in initial
weights, modality, training length and test views (docs/data.md); where sources disagree, each has its row.
"""

from importlib import resources

import pandas as pd

COLUMNS = {
    "method": "name of the algorithm here, or the paper's own where it is not among them",
    "backbone": "network, in the source's words",
    "initialisation": "scratch, ImageNet, ImageNet teacher, VLM teacher, or not stated",
    "modality": "RGB, RGB+gradient, RGB+flow+gradient, or not stated",
    "dataset": "ucf101, hmdb51, kinetics400, mini-ssv2 (87 classes, as TCL uses it), or diving48",
    "protocol": "labeled share of the training clips, as the paper calls it",
    "value": "top-1 accuracy in percent",
    "deviation": "standard deviation of the value over draws of labels, where one is given",
    "source": "where the number stands, a key of SOURCES",
    "certainty": "stated: by its own authors or whoever ran it; quoted: from another paper, not read there",
    "note": "what else has to be known",
}
SOURCES = {
    "ActNetFormer, Table 1": "arXiv:2404.06243; github.com/rana2149/ActNetFormer, assets/results.png",
    "CMPL, abstract": "arXiv:2112.09690",
    "FinePseudo, coarse-grained table": "arXiv:2409.01448; github.com/DAVEISHAN/finepsuedo-webpage",
    "FinePseudo, fine-grained table": "arXiv:2409.01448; github.com/DAVEISHAN/finepsuedo-webpage",
    "LEViL, Table I": "LEViL: label-efficient video learning via zero-shot distillation, arXiv, June 2026",
    "SVFormer, README": "github.com/ChenHsing/SVFormer",
    "SeFAR, Table 2": "arXiv:2501.01245",
    "TCL, poster": "github.com/CVIR/TCL, docs/resources",
}


def read() -> pd.DataFrame:
    """All published numbers, COLUMNS; absent deviations are NaN, absent notes empty."""
    with (resources.files("ssl_video.benchmarks") / "published.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, usecols=list(COLUMNS), keep_default_na=False, na_values={"deviation": [""]})
