"""Learning-rate schedules; the optimizers are MXNet's own."""
