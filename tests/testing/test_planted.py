"""Bugs of published code, planted in the built-in methods: the check that is for them finds them, by name.

Found in the repositories named with each; none of them stopped a run.
"""

from typing import NamedTuple

import pytest
from mutated import POSSIBLE, Mutation, failures

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="the wrong versions live in forked processes")


class Planted(NamedTuple):
    """A bug, the check that is for it, and further checks that may see it, too."""

    name: str
    mutation: Mutation
    check: str
    related: frozenset[str] = frozenset()


PLANTED = [
    Planted(
        "USB, meanteacher: the teacher's logits in the student's place",
        Mutation(
            "meanteacher.py",
            "F.mse_loss(student.softmax(-1), target)",
            "F.mse_loss(self.teacher(batch.unlabeled['teacher']).float().softmax(-1), target)",
            "the consistency is exactly 0",
        ),
        "unlabeled-terms-teach",
        frozenset({"options-are-read"}),  # no weight of a term that is 0
    ),
    Planted(
        "USB, Bn_Controller: only BatchNorm2d is held still",
        Mutation(
            "parts/passes.py",
            "isinstance(module, nn.modules.batchnorm._BatchNorm)",
            "isinstance(module, nn.BatchNorm2d)",
            "nothing is held still in 3D networks",
            ("fixmatch",),
        ),
        "batch-norm",
    ),
    Planted(
        "USB, criterions: the mask means its complement",
        Mutation(
            "parts/pseudo.py",
            '(F.cross_entropy(logits, target, reduction="none") * pseudo.weight)',
            '(F.cross_entropy(logits, target, reduction="none") * (1 - pseudo.weight))',
            "the unsure clips are learned",
            ("fixmatch",),
        ),
        "empty-selection",
        frozenset(
            {"mean-over-batch", "unlabeled-terms-teach", "agreement", "stop-gradient", "all-parameters-learn"}
        ),
    ),
    Planted(
        "SVFormer, train_net_emamix: the warp is written into the strong clip through an alias",
        Mutation(
            "svformer.py",
            'mix(u["strong"], u["warped"][other], mask)',
            'u["strong"].copy_(mix(u["strong"], u["warped"][other], mask))',
            "the strong clip is another one for whoever reads it next",
        ),
        "batch-unchanged",
    ),
    Planted(
        "SVFormer, train_net_emamix: the distance of raw logits to probabilities",
        Mutation(
            "svformer.py",
            "(mixed.softmax(-1) - target)",
            "(mixed - target)",
            "logits are pulled to 0 and 1",
        ),
        "agreement",
    ),
    Planted(
        "SVFormer, config: values that are read and defined nowhere",
        Mutation(
            "svformer.py",
            "mix_weight: NonNegative = 2.0,",
            "mix_weight: NonNegative,",
            "a run cannot start without a value that nobody knows",
        ),
        "constructor",
    ),
    Planted(
        "SVFormer, checkpoints: the teacher is not saved",
        Mutation(
            "parts/teacher.py",
            "self.model, self.teacher = model, Teacher(model, decay)",
            "self.model, self.__dict__['teacher'] = model, Teacher(model, decay)",
            "a resumed run goes on with an untrained teacher",
            ("meanteacher",),
        ),
        "state-is-saved",
        frozenset({"resume", "predictors", "no-waiting"}),
    ),
    Planted(
        "TCL, main.py: an option that is parsed and never used",
        Mutation(
            "tcl.py",
            "self.weight, self.group_weight = weight, group_weight",
            "self.weight, self.group_weight = weight, 1.0",
            "group_weight changes nothing",
        ),
        "options-are-read",
    ),
    Planted(
        "VDA, base_semi: a statistic among the terms is minimised",
        Mutation(
            "fixmatch.py",
            '"labeled": self',
            '"loss_fraction": pseudo.weight.mean(), "labeled": self',
            "whatever is called loss is summed",
        ),
        "term-names",
    ),
    Planted(
        "VDA, SemiCLS: the method has a way to the labels of unlabeled clips",
        Mutation(
            "fixmatch.py",
            "u = batch.unlabeled\n",
            "from ssl_video.data.index import Index as Index\n        u = batch.unlabeled\n",
            "hidden labels can be read",
        ),
        "imports",
    ),
    Planted(
        "lightly, TiCo: state in a plain attribute",
        Mutation(
            "parts/averages.py",
            'self.register_buffer("value", start.clone())',
            "self.value = start.clone()",
            "the average begins anew when a run is resumed",
            ("freematch",),
        ),
        "state-is-saved",
        frozenset({"resume", "no-memory", "no-waiting"}),
    ),
    Planted(
        "lightly, update_momentum: the teacher averages parameters alone",
        Mutation(
            "parts/teacher.py",
            "in _pairs(self.network, student):",
            "in zip(self.network.parameters(), student.parameters(), strict=True):",
            "the teacher keeps the batch-norm statistics of an untrained network",
            ("meanteacher",),
        ),
        "teachers-follow",
    ),
    Planted(
        "many: the mean over the clips that are kept",
        Mutation(
            "parts/pseudo.py",
            "* pseudo.weight).mean()",
            "* pseudo.weight).sum() / pseudo.weight.sum().clamp(min=1)",
            "few sure clips weigh as much as a whole batch",
            ("fixmatch",),
        ),
        "mean-over-batch",
        frozenset({"two-processes", "parts"}),
    ),
    Planted(
        "lightly, gather_distributed=False: contrasts within a process",
        Mutation(
            "tcl.py",
            "pair = gather(base.softmax(-1)), gather(auxiliary.softmax(-1))",
            "pair = base.softmax(-1), auxiliary.softmax(-1)",
            "fewer negatives on more GPUs",
        ),
        "two-processes",
    ),
    Planted(
        "kekmodel/FixMatch-pytorch: mask.mean().item() in the loop, here in the loss",
        Mutation(
            "parts/pseudo.py",
            "* pseudo.weight).mean()",
            "* pseudo.weight).mean() * float(pseudo.weight.sum().item() > 0)",
            "the GPU is idle while the number is read",
            ("fixmatch",),
        ),
        "no-waiting",
    ),
    Planted(
        "many: an index by a mask, whose number of rows is read",
        Mutation(
            "meanteacher.py",
            "F.mse_loss(student.softmax(-1), target)",
            "F.mse_loss(student.softmax(-1)[target.amax(-1) >= 0], target)",
            "the GPU is idle while the number is read",
        ),
        "no-waiting",
    ),
    Planted(
        "many: a new tensor without a device",
        Mutation(
            "meanteacher.py",
            "F.mse_loss(student.softmax(-1), target)",
            "F.mse_loss(student.softmax(-1) * torch.ones(student.shape[-1]), target)",
            "a run on a GPU ends with an error",
        ),
        "no-waiting",
    ),
    Planted(
        "torch up to 2.9: autocast's cache of weights that a pass without gradient has filled",
        Mutation(
            "parts/passes.py",
            "model(torch.cat(clips)).float()",
            "(lambda x: x.detach() if torch.is_autocast_enabled('cpu') else x)("
            "model(torch.cat(clips)).float())",
            "nothing is learned in bfloat16",
            ("fixmatch",),
        ),
        "bfloat16",
    ),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_the_check_for_it_reports_it(planted: Planted) -> None:
    found = {name.split(": ")[1]: what for name, what in failures(planted.mutation).items()}
    assert planted.check in found
    assert found.keys() <= {planted.check, *planted.related}, found
