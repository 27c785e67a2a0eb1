"""One file for each trick: pure functions, with the formulas of the paper and of GluonCV."""
