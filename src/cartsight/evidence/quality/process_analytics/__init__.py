"""In-line measurements as early warning: partial least squares, control of batch trajectories, stopping early."""

from cartsight.evidence.quality.process_analytics.batch_control import (
    BatchModel,
    fit_batch_model,
    judge,
    left_out_verdicts,
    unfold,
)
from cartsight.evidence.quality.process_analytics.early_warning import (
    cross_validated_warning,
    predict_harvest_day,
    value_of_stopping,
)
from cartsight.evidence.quality.process_analytics.partial_least_squares import (
    cross_validate,
    fit_partial_least_squares,
)

__all__ = [
    "BatchModel",
    "cross_validate",
    "cross_validated_warning",
    "fit_batch_model",
    "fit_partial_least_squares",
    "judge",
    "left_out_verdicts",
    "predict_harvest_day",
    "unfold",
    "value_of_stopping",
]
