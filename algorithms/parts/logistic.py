"""Logistic regression on features: the fit of the algorithm `logistic`, and of a check of labels."""

from typing import NamedTuple

import numpy as np

_EPSILON = 1e-5  # that of torch's layer norm


class LogisticFit(NamedTuple):
    """A fitted classifier; the logits of features x (N, C) are x @ weight.T + bias.

    Attributes:
        classes: (K,) sorted class numbers that the labels have.
        weight: (K, C) float64.
        bias: (K,) float64.
    """

    classes: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray, num_classes: int) -> np.ndarray:
        """Return the probabilities of all classes, (N, num_classes) float64; 0 of those without a label.

        Args:
            features: (N, C), normalised as those of the fit.
            num_classes: the number of classes.
        """
        logits = features @ self.weight.T + self.bias
        powers = np.exp(logits - logits.max(1, keepdims=True))
        found = np.zeros((len(features), num_classes))
        found[:, self.classes] = powers / powers.sum(1, keepdims=True)
        return found


def normalised(features: np.ndarray) -> np.ndarray:
    """Return features (N, C) with mean 0 and variance 1 over the channels of each clip, float64."""
    centred = features - features.mean(1, keepdims=True, dtype=np.float64)
    return centred / np.sqrt((centred**2).mean(1, keepdims=True) + _EPSILON)


def fit(features: np.ndarray, labels: np.ndarray, penalty: float = 1.0) -> LogisticFit:
    """Fit scikit-learn's multinomial logistic regression.

    Args:
        features: (N, C), normalised.
        labels: (N,) class numbers, of at least two classes.
        penalty: C of scikit-learn, the inverse weight of the squared norm of the weights.
    """
    # Not at the top: it takes half a second.
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(C=penalty, max_iter=10_000)
    found.fit(features, labels)
    weight, bias = found.coef_, found.intercept_
    if len(weight) == 1:
        # Of two classes scikit-learn has the difference.
        weight, bias = (np.concatenate([-values, values]) / 2 for values in (weight, bias))
    return LogisticFit(found.classes_, weight, bias)
