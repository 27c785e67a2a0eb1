"""Learning-rate schedules, optimizers, and the average of parameters."""
