"""`told_apart`: how well a linear classifier tells generated images from real ones by their features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mammosynth.evaluation.texture import SLOPE

FOLDS = 5


def told_apart(own: np.ndarray, theirs: np.ndarray, patients: Sequence[str], *, inverse_penalty: float = 1.0) -> float:
    """AUC of a logistic classifier between generated and real images, no patient in training and test at once.

    Args:
        own: (N, F), `texture.features` of generated images.
        theirs: (N, F), of the real ones.
        patients: Of both, in order.
        inverse_penalty: `C` of the classifier; less makes it simpler.

    Returns:
        NaN for a single patient.
    """
    if len(set(patients)) < 2:
        return float("nan")
    if np.array_equal(own, theirs):
        return 0.5
    rows = np.nan_to_num(np.concatenate([own, theirs]), nan=float(np.nanmean(theirs[:, SLOPE])))
    kind = np.repeat([1, 0], len(own))
    groups = np.concatenate([patients, patients])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=5000))
    folds = GroupKFold(min(FOLDS, len(set(patients))))
    scores = cross_val_predict(model, rows, kind, groups=groups, cv=folds, method="decision_function")
    return float(roc_auc_score(kind, scores))
