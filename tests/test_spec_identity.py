"""Which specifications are the same run, setting or configuration, by their hashes."""

import pytest
import yaml

from ssl_video.spec import Spec, build, configuration, digest, plain, setting


def test_plain_values_make_the_same_specification() -> None:
    spec = build({"draw": 3, "networks": {"a": {"width": 2}}, "options": {"x": (1, 2), "y": None}})
    text = yaml.safe_dump(plain(spec))
    again = build(yaml.safe_load(text))
    assert plain(again) == plain(spec)
    assert again.options == {"x": [1, 2], "y": None}


CELL = {
    "data": "folder",
    "root": "elsewhere",
    "split": "split2",
    "unlabeled": ["archive"],
    "labels": ["todo.csv"],
    "segment": 5.0,
    "keep_classes": ["unknown"],
    "folds": 5,
    "protocol": "percent:1",
    "draw": 4,
    "seed": 5,
    "labeled_in_unlabeled": True,
    "validation": 0.2,
    "lists": "published",
}
METHOD = {
    "algorithm": "fixmatch",
    "options": {"threshold": 0.5},
    "networks": {"auxiliary": {"width": 0.5}},
    "unlabeled_batch": 3,
}
SETTING = {
    "backbone": "other",
    "width": 0.5,
    "weights": "file.pt",
    "weights_prefix": "encoder_q",
    "partial_weights": True,
    "probe": "linear",
    "input": "motion",
    "feature_copies": 3,
    "backbone_learning_rate": 0.1,
    "layer_decay": 0.75,
    "freeze_norm": True,
    "head_steps": 0.2,
    "head_start": "logistic",
    "dropout": 0.5,
    "frames": 4,
    "stride": 2,
    "fps": 8.0,
    "size": 32,
    "sampling": "segments",
    "frame_format": "jpeg",
    "augmentation": {"flip": 0.0},
    "steps": 7,
    "match": "clips:40",
    "labeled_batch": 3,
    "balance": True,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 0.1,
    "momentum": 0.5,
    "warmup": 0.5,
    "clip_norm": 1.0,
    "accumulate": 2,
    "batch_norm": "sync",
    "label_smoothing": 0.1,
    "ema": 0.9,
    "precision": "float32",
    "test_clips": 2,
    "test_crops": 3,
}


def test_every_key_of_a_specification_is_cell_method_or_setting() -> None:
    """A new key has to be put in one of the three, on purpose."""
    assert {*CELL, *METHOD, *SETTING} == set(Spec.model_fields)
    assert all(build({key: value}) != build({}) for key, value in (CELL | METHOD | SETTING).items())


@pytest.mark.parametrize("key", CELL)
def test_a_cell_changes_neither_hash(key: str) -> None:
    spec = build({key: CELL[key]})
    assert (setting(spec), configuration(spec)) == (setting(build({})), configuration(build({})))


@pytest.mark.parametrize("key", METHOD)
def test_a_method_changes_the_configuration_alone(key: str) -> None:
    spec = build({key: METHOD[key]})
    assert setting(spec) == setting(build({}))
    assert configuration(spec) != configuration(build({}))


@pytest.mark.parametrize("key", SETTING)
def test_a_setting_changes_both(key: str) -> None:
    spec = build({key: SETTING[key]})
    assert setting(spec) != setting(build({}))
    assert configuration(spec) != configuration(build({}))


def test_runs_of_matched_methods_share_their_budget_and_not_their_steps() -> None:
    first, second = (build({"match": "clips:40", "steps": steps}) for steps in (5, 10))
    assert setting(first) == setting(second)
    assert configuration(first) != configuration(second)
    assert setting(build({"match": "clips:41", "steps": 5})) != setting(first)
    assert setting(build({"match": "seconds:40", "steps": 5})) != setting(first)
    assert setting(build({"match": "clips:40", "steps": 5, "learning_rate": 0.1})) != setting(first)


def test_a_plugins_source_changes_the_configuration() -> None:
    assert configuration(build({}), "a") != configuration(build({}), "b")
    assert configuration(build({}), "a") != configuration(build({}))


def test_hashes_do_not_depend_on_the_order_of_keys_or_the_form_of_numbers() -> None:
    first = build({"options": {"a": 1.0, "b": 2.0}, "learning_rate": 1, "steps": 10})
    second = build({"steps": 10.0, "learning_rate": 1.0, "options": {"b": 2.0, "a": 1.0}})
    assert configuration(first) == configuration(second)


def test_a_digest_is_the_same_for_ever() -> None:
    """Folders of old runs are found by it: `printf '[1, "a"]' | sha256sum | head -c 8`."""
    assert digest([1, "a"]) == "4a72386a"
