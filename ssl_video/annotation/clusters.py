"""Clusters of features and the most typical clips in them, for the rule `typiclust`."""

import warnings

import numpy as np

MOST = 500  # clusters, as in the paper
SMALL = 5  # clips; smaller clusters are outliers and come last
NEIGHBOURS = 20
# More clips than that are clustered from random batches: k-means takes minutes there.
_AT_ONCE = 20_000
_BATCH = 4096
# In a larger cluster, so many random clips stand for all of them: every pair is compared.
_COMPARED = 10_000


class TypicalClips:
    """The order of TypiClust, see `rules.typiclust`.

    Args:
        features: (N, C) features of the clips to choose from.
        labeled: (L, C) features of clips that have a label.
        number: how many clips will be chosen.
        generator: the source of random numbers.
    """

    def __init__(
        self, features: np.ndarray, labeled: np.ndarray, number: int, generator: np.random.Generator
    ) -> None:
        self._points = unit(np.concatenate([features, labeled]) if len(labeled) else features)
        self._count, self._generator = len(features), generator
        self.cluster = clusters(self._points, min(len(labeled) + number, MOST), generator)
        self._size = np.bincount(self.cluster)
        self._covered = np.bincount(self.cluster[self._count :], minlength=len(self._size))
        self._typicality = dict[int, np.ndarray]()

    def next(self, free: np.ndarray) -> int:
        """Return the clip to label next, of those that are open, (N,) bool."""
        of_free = np.unique(self.cluster[: self._count][free])
        small, covered, size = self._size[of_free] < SMALL, self._covered[of_free], self._size[of_free]
        number = int(of_free[np.lexsort((of_free, -size, covered, small))[0]])
        self._covered[number] += 1
        rows = np.flatnonzero(free & (self.cluster[: self._count] == number))
        return int(rows[self._typical(number)[rows].argmax()])

    def _typical(self, number: int) -> np.ndarray:
        """Return the typicality of the clips in a cluster, (N,); 0 of all others."""
        if number not in self._typicality:
            members = np.flatnonzero(self.cluster == number)
            if len(members) > _COMPARED:
                members = np.sort(self._generator.choice(members, _COMPARED, replace=False))
            found = np.zeros(len(self._points), np.float64)
            found[members] = typicality(self._points[members])
            self._typicality[number] = found[: self._count]
        return self._typicality[number]


def unit(features: np.ndarray) -> np.ndarray:
    """Return features (N, C) divided by their norms, float32."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.maximum(norms, 1e-12)).astype(np.float32)


def clusters(points: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """Return the numbers of clusters, (N,), by k-means, or by mini-batches of more than 20,000 points."""
    from sklearn.cluster import KMeans, MiniBatchKMeans  # takes half a second
    from sklearn.exceptions import ConvergenceWarning

    number, seed = min(number, len(points)), int(generator.integers(2**31))
    if len(points) > _AT_ONCE:
        made = MiniBatchKMeans(number, batch_size=_BATCH, n_init=1, random_state=seed)
    else:
        made = KMeans(number, n_init=1, random_state=seed)
    with warnings.catch_warnings():
        # Among copies there may be fewer clusters than asked for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found: np.ndarray = made.fit_predict(points)
    return found


def typicality(points: np.ndarray) -> np.ndarray:
    """Return the typicality of each point among the others, (N,): the inverse mean distance to its nearest.

    Hacohen et al. (2022), equation 1, with K = min(20, N - 1) neighbours. It is finite among copies.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(points) < 2:
        return np.ones(len(points))
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(points) - 1), algorithm="brute").fit(points)
    # Without an argument a point is no neighbour of itself.
    distances, _ = near.kneighbors()
    found: np.ndarray = 1 / np.maximum(distances.astype(np.float64).mean(1), 1e-9)
    return found
