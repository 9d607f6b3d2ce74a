"""The same for the methods that came later."""

from mutated import Mutation as M

# fmt: off
CHANGES = [
    # meanteacher
    M("meanteacher.py", 'self.teacher(batch.unlabeled["teacher"])', 'self.model(batch.unlabeled["teacher"])',
      "the student teaches itself"),
    M("meanteacher.py", "self.weight * ramp(progress, self.ramp)", "self.weight", "ramp ignored"),
    M("meanteacher.py", "F.mse_loss(student.softmax(-1)", "F.mse_loss(student", "logits for probabilities"),
    M("meanteacher.py", 'View("weak", copy=1)', 'View("weak")', "one clip for both"),
    M("meanteacher.py", 'batch.labeled["weak"], batch.unlabeled["student"]',
      'batch.labeled["weak"], batch.unlabeled["teacher"]', "one clip for both"),
    M("meanteacher.py", "super().__init__(model, decay)", "super().__init__(model, 0.999)", "option ignored"),

    # uda
    M("uda.py", "    @torch.no_grad()\n", "", "a gradient through the label"),
    M("uda.py", "super().forward(logits, indices)", "super().forward(logits / self.temperature, indices)",
      "threshold after sharpening"),
    M("uda.py", "sharpen(logits.float(), self.temperature)", "logits.float().softmax(-1)", "not sharpened"),
    M("uda.py", "sharpen(logits.float(), self.temperature)",
      "sharpen(logits.float(), self.temperature).roll(1, 0)", "labels of other clips"),

    # flexmatch
    M("flexmatch.py", 'self.register_buffer("labels", torch.full((task.num_unlabeled,), -1))',
      "self.labels = torch.full((task.num_unlabeled,), -1)", "memory not saved"),
    M("flexmatch.py", "gather(confidence), gather(label), gather(indices)", "confidence, label, indices",
      "gather missing"),
    M("flexmatch.py", "scatter_reduce(0, indices,", "scatter_reduce(0, torch.arange(len(indices)),",
      "rows of the batch for indices"),
    M("flexmatch.py", "(task.num_unlabeled,), -1)", "(task.num_unlabeled - 1,), -1)", "one place too few"),
    M("flexmatch.py", "effect / (2 - effect)", "effect", "linear, not convex"),
    M("flexmatch.py", "if self.warmup else", "if not self.warmup else", "warm-up inverted"),
    M("flexmatch.py", "confidence >= self.threshold, label, -1", "confidence >= 0, label, -1",
      "unsure labels are remembered"),
    M("flexmatch.py", "confidence >= self.thresholds()[label]", "confidence >= self.threshold",
      "thresholds ignored"),
    M("flexmatch.py", "self.labels + 1", "self.labels.clamp(min=0)", "classes shifted by one"),

    # freematch
    M("freematch.py", "gather(confidence).mean()", "confidence.mean()", "gather missing"),
    M("freematch.py", "gather(probability).mean(0)", "probability.mean(0)", "gather missing"),
    M("freematch.py", "overall * prediction / prediction.max()", "overall.expand(len(prediction))",
      "one threshold for all classes"),
    M("freematch.py", "* prediction / prediction.max()", "* prediction", "thresholds far too low"),
    M("freematch.py", "confidence >= thresholds[label]", "confidence <= thresholds[label]",
      "the unsure are used"),
    M("freematch.py", "return (expected * ", "return -(expected * ", "wrong sign"),
    M("freematch.py", "fairness(gather(strong), gather(pseudo.weight), *seen)",
      "fairness(strong, pseudo.weight, *seen)", "gather missing"),
    M("freematch.py", "* used[:, None]).sum(0)\n    expected", ").sum(0)\n    expected",
      "unused clips count"),
    M("freematch.py", "self.fairness_weight\n", "0.001\n", "option ignored"),

    # softmatch
    M("softmatch.py", "(mean - aligned", "(mean + aligned", "wrong sign"),
    M("softmatch.py", "everyone = gather(confidence)", "everyone = confidence", "gather missing"),
    M("softmatch.py", "aligned = probability / self.prediction", "aligned = probability * self.prediction",
      "alignment inverted"),
    M("softmatch.py", "(2 * variance)", "(variance)", "another Gaussian"),
    M("softmatch.py", ".clamp(min=0)\n        return", "\n        return", "the sure lose weight, too"),
    M("softmatch.py", "correction=min(1, len(everyone) - 1)", "correction=1", "NaN of a single clip"),

    # mixmatch
    M("mixmatch.py", "    @torch.no_grad()\n", "", "a gradient through the label"),
    M("mixmatch.py", "torch.minimum(fraction, 1 - fraction)", "fraction", "more of the other clip"),
    M("mixmatch.py", "mix(targets, targets[other], fraction[:, None])", "targets", "labels are not mixed"),
    M("mixmatch.py", "targets[other]", "targets[other.flip(0)]", "labels of other clips"),
    M("mixmatch.py", "torch.logaddexp(one.log_softmax(-1), other.log_softmax(-1))", "one", "one clip alone"),
    M("mixmatch.py", "logits[count:].softmax(-1)", "logits[count:]", "logits for probabilities"),
    M("mixmatch.py", "with averages_untouched(self.model):", "if True:", "mixtures count in the averages"),

    # svformer
    M("svformer.py", 'forward_joint(self.teacher, u["weak"])', 'forward_joint(self.model, u["weak"])',
      "the student labels"),
    M("svformer.py", 'mix(u["strong"], u["warped"][other], mask)',
      'u["strong"].copy_(mix(u["strong"], u["warped"][other], mask))', "written into the batch"),
    M("svformer.py", 'u["warped"][other], mask', 'u["warped"], mask', "mixed with itself"),
    M("svformer.py", "target, weight = mix(target, target[other], fraction)",
      "target, weight = mix(target, target[other], 1 - fraction)", "the other fraction"),
    M("svformer.py", "mix(pseudo.weight, pseudo.weight[other], fraction)", "pseudo.weight", "one weight"),
    M("svformer.py", "mixed.softmax(-1) - target", "mixed - target", "logits for probabilities"),
    M("svformer.py", '"unlabeled": on * self.weight', '"unlabeled": self.weight', "phase ignored"),
    M("svformer.py", "pseudo.weight[:, None] > 0", "pseudo.weight[:, None] < 1",
      "the unsure count as certain"),

    # sefar
    M("sefar.py", "forward_joint(self.teacher, weak)", "forward_joint(self.model, weak)", "student labels"),
    M("sefar.py", "with dropping(self.teacher.network):", "if True:", "the teacher drops nothing"),
    M("sefar.py", "found.std(0)", "found.var(0)", "another measure of stability"),
    M("sefar.py", "mix(probabilities, probabilities[other], mask.mean())", "probabilities",
      "labels are not mixed"),
    M("sefar.py", "mix(pseudo.weight, pseudo.weight[other], mask.mean())", "pseudo.weight",
      "one weight alone"),
    M("sefar.py", "mixed.softmax(-1) - target", "mixed - target", "logits for probabilities"),
    M("sefar.py", "mix(dropped, strong[other], mask)", "mix(dropped, strong, mask)", "mixed with itself"),
    M("sefar.py", '"unlabeled": on * self.weight', '"unlabeled": self.weight', "phase ignored"),

    # cutmix
    M("cutmix.py", "Pseudo(pseudo.label.flip(0), pseudo.weight.flip(0))", "pseudo", "one label for both"),
    M("cutmix.py", "(1 - fraction) * outside + fraction * inside",
      "fraction * outside + (1 - fraction) * inside",
      "fractions exchanged"),
    M("cutmix.py", "pseudo.weight.flip(0))", "pseudo.weight)", "the other one's weight"),
    M("cutmix.py", "mix(strong, strong.flip(0), tube)", "strong", "nothing is pasted"),

    # ltg and mvpl
    M("ltg.py", "other.detach().float()", "other.float()", "the gradient's features are moved"),
    M("ltg.py", "maps if self.dense else [features]", "[features]", "stages are not aligned"),
    M("ltg.py", 'gather(self.heads["model"](rgb.features))', 'self.heads["model"](rgb.features)',
      "gather missing"),
    M("ltg.py", "(rgb.weak + motion.weak) / 2", "rgb.weak", "RGB alone labels"),
    M("ltg.py", "total + 1 - F.cosine", "total + 1 + F.cosine", "driven apart"),
    M("ltg.py", 'if role == "gradient":', 'if role == "model":', "RGB and gradient exchanged"),
    M("ltg.py", '{"model": self.model}', '{"gradient": self.gradient}', "the wrong network is tested"),
    M("mvpl.py", "(rgb_weak + weak) / 2", "rgb_weak", "RGB alone labels"),
    M("mvpl.py", "with averages_untouched(self.model):", "if True:", "gradients count in the averages"),
    M("mvpl.py", "masked_cross_entropy(strong, pseudo)", "masked_cross_entropy(rgb_strong, pseudo)",
      "RGB twice"),

    # tcl, timebalance, actnetformer
    M("tcl.py", "gather(base.softmax(-1)), gather(auxiliary.softmax(-1))",
      "base.softmax(-1), auxiliary.softmax(-1)", "gather missing"),
    M("tcl.py", "rate=0.5, copy=1", "copy=1", "one speed"),
    M("tcl.py", "with averages_untouched(self.model):", "if True:", "the fast clips count in the averages"),
    M("tcl.py", "members[0].any(1) & members[1].any(1)", "members[0].any(1) | members[1].any(1)",
      "groups without a partner"),
    M("timebalance.py", ".detach()\n", "\n", "teachers please the student"),
    M("timebalance.py", "similar * by_invariant.softmax(-1) + (1 - similar) * by_distinctive",
      "(1 - similar) * by_invariant.softmax(-1) + similar * by_distinctive", "teachers exchanged"),
    M("timebalance.py", "gather(one), gather(other), self.temperature", "one, other, self.temperature",
      "gather missing"),
    M("timebalance.py", "self._projected(\"invariant\", first, second_again)",
      "self._projected(\"invariant\", first, first_again)", "the same time"),
    M("timebalance.py", "torch.where(alike, found, stretched)", "stretched", "rounding errors are stretched"),
    M("timebalance.py", "if not self.frozen:", "if self.frozen:", "frozen teachers are trained"),
    M("actnetformer.py", "info_nce(gather(one), gather(other), self.temperature)",
      "info_nce(one, other, self.temperature)", "gather missing"),
    M("actnetformer.py", "of_auxiliary(2 * count)", "of_primary(2 * count)", "one network with itself"),
    M("actnetformer.py", "weak_gradient = True", "weak_gradient = False", "heads alone learn"),

    # simmatch
    M("simmatch.py", "self.align(logits.float().softmax(-1))", "self.align(logits)",
      "logits for probabilities"),
    M("simmatch.py", "self.memory.smooth(probability, similarity, self.smoothing)", "probability",
      "not smoothed"),
    M("parts/memory.py", "similarity.exp() * (probability @ self.classes.rows.T)", "similarity.exp()",
      "similar clips of any class", ("simmatch",)),
    M("simmatch.py", "self.memory.similarity(self.memory(of_strong))",
      "self.memory.similarity(self.memory(of_weak))", "weak clips learn"),
    M("simmatch.py", "-(similar * found).sum(-1).mean()", "-(similar * found).mean()",
      "a mean over the memory"),
    M("simmatch.py", "    @torch.no_grad()\n    def targets", "    def targets",
      "a gradient through the targets"),

    # comatch
    M("comatch.py", "fill_diagonal_(1)", "fill_diagonal_(0)", "a clip is no partner of itself"),
    M("comatch.py", "target, one, other = gather(pseudo.distribution), gather(one), gather(other)",
      "target = pseudo.distribution", "gather missing"),
    M("comatch.py", "wanted * (wanted >= self.contrast_threshold)", "wanted", "all clips are connected"),
    M("comatch.py", "masked_cross_entropy(strong[: len(weak)], pseudo)",
      "masked_cross_entropy(strong[len(weak) :], pseudo)", "the other copy learns"),
    M("comatch.py", "        self.memory.add(self.memory(of_weak), probability)\n", "",
      "labeled clips alone are remembered"),
    M("comatch.py", 'View("strong", copy=1)', 'View("strong")', "one clip for both"),
    M("parts/memory.py", "self.features.add(gather(projected))", "self.features.add(projected)",
      "gather missing", ("comatch", "simmatch")),
    M("parts/memory.py", ".masked_fill(~self.features.filled, -1e6)", "", "free places are clips",
      ("comatch", "simmatch")),
    M("parts/alignment.py", "gather(probability).mean(0, keepdim=True)", "probability.mean(0, keepdim=True)",
      "gather missing", ("comatch", "simmatch")),

    # distill
    M("distill.py", "sharpen(batch.predictions.log(), self.temperature)", "batch.predictions",
      "not sharpened"),
    M("distill.py", "masked_cross_entropy(strong, pseudo)", "masked_cross_entropy(strong.flip(0), pseudo)",
      "predictions of other clips"),
    M("distill.py", "confidence >= self.threshold", "confidence < self.threshold", "the unsure are used"),
    M("distill.py", "with averages_untouched(self.model):", "if True:", "strong clips in the averages"),

    # what looks at a batch as a whole
    *(M(f"{name}.py", "    whole_batch = True\n", "", "run in parts")
      for name in ("actnetformer", "comatch", "freematch", "ltg", "simmatch", "softmatch", "tcl",
                   "timebalance")),
]
# fmt: on
